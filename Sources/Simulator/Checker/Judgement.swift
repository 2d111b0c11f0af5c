import Common
import Foundation

/// What a check ended with.
enum Judgement: Equatable {
  /// A score between −10 and 1, for the node that was sent.
  case score(Double)
  /// The checker could not judge: no score at all.
  case unjudged
  /// The check itself crashed; the text stands for Python's traceback.
  case failed(String)
}

/// Scores an answer against ``ReferenceModel``. The penalties are those of the original
/// (`checking/functions/text.py` and `image_based.py` of rayonlabs/vision-workers); where that asks a
/// real model for probabilities, this counts how much of the answer is right.
enum Judge {
  /// Below this share nothing was even tried.
  static let garbageBelow = 0.1

  static func judge(_ request: CheckRequest) -> Judgement {
    guard request.modelConfig != nil else {
      return .failed("TypeError: 'NoneType' object is not subscriptable")
    }
    switch request.checkingFunction {
    case "check_text_result": return text(request, needsEndToken: true)
    case "check_vlm_result": return text(request, needsEndToken: false)
    case "check_image_result": return image(request)
    case "check_clip_result": return embeddings(request)
    default: return .unjudged
    }
  }

  private static func text(_ request: CheckRequest, needsEndToken: Bool) -> Judgement {
    if needsEndToken, request.modelConfig?["eos_token_id"]?.int == nil {
      return .failed("KeyError: 'eos_token_id'")
    }
    for field in ["temperature", "max_tokens"] where request.payload[field]?.double == nil {
      return .failed("KeyError: '\(field)'")
    }
    guard let response = answer(of: request) else { return statusOnly(request, penalty: -3) }
    guard case .array(let chunks) = response, let words = messages(chunks), !words.isEmpty else {
      return .score(0)
    }
    guard words.count <= request.payload["max_tokens"]?.int ?? 0 else { return .score(0) }
    let right = ReferenceModel.tokens(for: request.payload)
    let matching = zip(words, right).filter { $0 == Vocabulary.tokens[$1.index] }.count
    return scored(Double(matching) / Double(max(words.count, right.count)))
  }

  /// The text of every chunk; nil if one of them has not the form of one token with its probability. A
  /// first chunk without either is skipped.
  private static func messages(_ chunks: [JSON]) -> [String]? {
    var words: [String] = []
    for (index, chunk) in chunks.enumerated() {
      let choice = chunk["choices"]?[0]
      let logprobs = choice?["logprobs"]
      let content = choice?["delta"]?["content"]?.text ?? choice?["text"]?.text
      if index == 0, content == "", logprobs == .null { continue }
      let isMeasured =
        logprobs?["content"]?[0]?["logprob"]?.double != nil || logprobs?["token_logprobs"]?[0]?.double != nil
      guard let content, isMeasured else { return nil }
      words.append(content)
    }
    return words
  }

  private static func image(_ request: CheckRequest) -> Judgement {
    guard let response = answer(of: request) else { return statusOnly(request, penalty: -1) }
    guard let encoded = response["image_b64"]?.text, let bytes = Data(base64Encoded: encoded),
      let pixels = Picture.pixels(png: Array(bytes), side: ReferenceModel.imageSide)
    else { return .score(0) }
    guard response["is_nsfw"]?.flag == false else { return .score(-2) }
    guard numbers(response["clip_embeddings"]) == ReferenceModel.embedding(of: encoded) else {
      return .score(0)
    }
    let right = ReferenceModel.pixels(for: request.payload)
    let matching = stride(from: 0, to: right.count, by: 3).filter { start in
      right[start..<(start + 3)] == pixels[start..<(start + 3)]
    }
    return scored(Double(matching.count * 3) / Double(right.count))
  }

  private static func embeddings(_ request: CheckRequest) -> Judgement {
    guard let response = answer(of: request) else { return statusOnly(request, penalty: -1) }
    let right = ReferenceModel.embeddings(for: request.payload)
    guard case .array(let rows)? = response["clip_embeddings"], rows.count == right.count, !right.isEmpty
    else { return .score(0) }
    let found = rows.flatMap { numbers($0) ?? [] }
    guard found.count == right.count * ReferenceModel.embeddingLength else { return .score(0) }
    let matching = zip(found, right.joined()).filter { abs($0 - $1) < 1e-6 }.count
    return scored(Double(matching) / Double(found.count))
  }

  private static func answer(of request: CheckRequest) -> JSON? {
    let response = request.result["formatted_response"]
    return response == .null ? nil : response
  }

  /// A query that brought no answer: the checker's own query succeeds, so only status 200 agrees.
  private static func statusOnly(_ request: CheckRequest, penalty: Double) -> Judgement {
    .score(request.result["status_code"]?.int == 200 ? 1 : penalty)
  }

  private static func scored(_ share: Double) -> Judgement {
    .score(share < garbageBelow ? -10 : min(1, share))
  }

  private static func numbers(_ value: JSON?) -> [Double]? {
    guard case .array(let elements)? = value else { return nil }
    let numbers = elements.compactMap(\.double)
    return numbers.count == elements.count ? numbers : nil
  }
}
