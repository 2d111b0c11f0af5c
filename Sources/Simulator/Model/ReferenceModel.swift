import Common

/// One token of an answer: its index in ``Vocabulary`` and its log probability in thousandths.
struct SampledToken: Equatable {
  var index: Int
  var logprobThousandths: Int
}

/// What a faultless model answers to a payload. Miners start from it and fall short by their quality;
/// the checking server computes it again and compares. It depends on the prompt, the pictures and the
/// seed alone, so a payload may be written in any way that keeps those.
enum ReferenceModel {
  static let tokensMax = 8192
  static let tokensDefault = 500
  /// Width and height of every picture, whatever was asked for.
  static let imageSide = 8
  static let embeddingLength = 16
  static let embeddingsMax = 64

  /// All that the answer depends on besides the seed.
  static func prompt(of payload: JSON) -> String {
    var parts: [String] = []
    for field in ["prompt", "negative_prompt", "init_image", "mask_image"] {
      if let text = payload[field]?.text { parts.append("\(field)=\(text)") }
    }
    if case .array(let messages)? = payload["messages"] {
      for message in messages {
        parts.append("\(message["role"]?.text ?? "")=\(message["content"].map(plainText) ?? "")")
      }
    }
    return parts.joined(separator: "\u{0}")
  }

  private static func plainText(_ value: JSON) -> String { value.text ?? value.canonicalText() }

  private static func random(for payload: JSON, _ purpose: String) -> SeededRandom {
    let seed = UInt64(bitPattern: Int64(payload["seed"]?.int ?? 0))
    return SeededRandom(seed: seed, purpose, prompt(of: payload))
  }

  /// The right tokens, between half of `max_tokens` and all of them.
  static func tokens(for payload: JSON) -> [SampledToken] {
    let most = min(tokensMax, max(1, payload["max_tokens"]?.int ?? tokensDefault))
    var random = random(for: payload, "text")
    let count = most / 2 + 1 + random.below(most - most / 2)
    return (0..<min(count, most)).map { _ in
      SampledToken(index: random.below(Vocabulary.tokens.count), logprobThousandths: -random.below(2000))
    }
  }

  /// The right picture: red, green and blue of each pixel.
  static func pixels(for payload: JSON) -> [UInt8] {
    var random = random(for: payload, "image")
    return (0..<(imageSide * imageSide * 3)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// The embedding of a picture, by its bytes.
  static func embedding(of image: some StringProtocol) -> [Double] {
    var random = SeededRandom(seed: 0, "embedding", String(image))
    return (0..<embeddingLength).map { _ in rounded(random.uniform() * 2 - 1) }
  }

  /// The right embeddings of a request's pictures.
  static func embeddings(for payload: JSON) -> [[Double]] {
    guard case .array(let images)? = payload["image_b64s"] else { return [] }
    return images.prefix(embeddingsMax).map { embedding(of: $0.text ?? "") }
  }

  /// Six decimals: a number that every JSON writer repeats as it is.
  static func rounded(_ value: Double) -> Double { (value * 1_000_000).rounded() / 1_000_000 }

  // MARK: falling short

  /// `tokens` with each one replaced by a wrong one with probability 1 − `quality`.
  static func degraded(
    _ tokens: [SampledToken], quality: Double, using random: inout SeededRandom
  ) -> [SampledToken] {
    tokens.map { token in
      guard random.uniform() >= quality else { return token }
      let step = 1 + random.below(Vocabulary.tokens.count - 1)
      return SampledToken(
        index: (token.index + step) % Vocabulary.tokens.count, logprobThousandths: token.logprobThousandths)
    }
  }

  /// `pixels` with each one replaced by a wrong one with probability 1 − `quality`.
  static func degraded(_ pixels: [UInt8], quality: Double, using random: inout SeededRandom) -> [UInt8] {
    var pixels = pixels
    for start in stride(from: 0, to: pixels.count, by: 3) where random.uniform() >= quality {
      for channel in start..<(start + 3) { pixels[channel] &+= 1 + UInt8(random.below(255)) }
    }
    return pixels
  }
}
