import Common

/// Writes the events of one stream as vLLM writes them, one token per event.
struct ChunkFormat {
  private let beforeContent: [UInt8]
  private let betweenContentAndLogprobs: [UInt8]
  private let isChat: Bool
  var withLogprobs = true

  private static let afterChoice = [UInt8](",\"finish_reason\":null}]}\n\n".utf8)

  /// The format of the stream `id` of a chat (`delta`) or of a completion (`text`).
  init(id: String, model: String, isChat: Bool) {
    self.isChat = isChat
    // A date would make equal requests give different bytes.
    let object = isChat ? "chat.completion.chunk" : "text_completion"
    let name = JSON.string(model).canonicalText()
    let start =
      "data: {\"id\":\"\(id)\",\"object\":\"\(object)\",\"created\":1735689600,\"model\":\(name),"
      + "\"choices\":[{\"index\":0,"
    beforeContent = Array((start + (isChat ? "\"delta\":{\"content\":\"" : "\"text\":\"")).utf8)
    betweenContentAndLogprobs = Array((isChat ? "\"},\"logprobs\":" : "\",\"logprobs\":").utf8)
  }

  /// Appends the event of one token.
  func append(_ token: SampledToken, to bytes: inout [UInt8]) {
    append(
      text: Vocabulary.escaped[token.index], logprobThousandths: token.logprobThousandths, to: &bytes)
  }

  /// Appends the event of a token with a text of one's own, escaped as JSON wants it.
  func append(text: [UInt8], logprobThousandths: Int, to bytes: inout [UInt8]) {
    bytes += beforeContent
    bytes += text
    bytes += betweenContentAndLogprobs
    appendLogprobs(text, thousandths: logprobThousandths, to: &bytes)
    bytes += ChunkFormat.afterChoice
  }

  private func appendLogprobs(_ text: [UInt8], thousandths: Int, to bytes: inout [UInt8]) {
    guard withLogprobs else { return bytes += "null".utf8 }
    let logprob = ChunkFormat.decimal(thousandths: thousandths)
    if isChat {
      bytes += "{\"content\":[{\"token\":\"".utf8
      bytes += text
      bytes += "\",\"logprob\":\(logprob),\"bytes\":null,\"top_logprobs\":[]}]}".utf8
    } else {
      bytes += "{\"text_offset\":[0],\"tokens\":[\"".utf8
      bytes += text
      bytes += "\"],\"token_logprobs\":[\(logprob)],\"top_logprobs\":[{\"".utf8
      bytes += text
      bytes += "\":\(logprob)}]}".utf8
    }
  }

  /// Appends an event without content: the role that opens a chat, or the reason that ends a stream.
  func appendFrame(finishReason: String?, to bytes: inout [UInt8]) {
    bytes += beforeContent
    bytes += betweenContentAndLogprobs
    let reason = finishReason.map { "\"\($0)\"" } ?? "null"
    bytes += "null,\"finish_reason\":\(reason)}]}\n\n".utf8
  }

  /// A number between −1000 and 0 in decimal, without a detour over floating point.
  private static func decimal(thousandths: Int) -> String {
    let magnitude = abs(thousandths)
    let digits = String(1000 + magnitude % 1000).dropFirst()
    return "\(thousandths < 0 ? "-" : "")\(magnitude / 1000).\(digits)"
  }
}
