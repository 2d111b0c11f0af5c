import Common
import Foundation
import Workers

/// What a miner streams.
extension FuzzTarget {
  private static let words = [
    "data: ", "data:", "\n\n", "\r\n", "event: x\n", "[DONE]", ": comment\n",
    "{\"choices\":[{\"delta\":{\"content\":\"",
    "\"}}]}", "\"finish_reason\":\"stop\"", "\"logprobs\":{\"content\":[]}", "\"text\":",
    "\"error\":{\"message\":",
    "\"usage\":{}", "null", "\\u0000", "\\ud83d\\ude00", "\\n",
  ]

  static let streams = [
    FuzzTarget(name: "sse", tokens: words) { bytes in
      let whole = events(bytes, parts: [bytes.count])
      // Wherever the bytes are cut, the events are the same.
      var random = SeededRandom(seed: UInt64(bytes.count))
      var (cuts, sum) = ([Int](), 0)
      while sum < bytes.count {
        cuts.append(1 + random.below(40))
        sum += cuts.last ?? 0
      }
      let cut = events(bytes, parts: cuts)
      try expect(cut.events == whole.events && cut.1 == whole.1, "events depend on where the bytes were cut")
      try expect(whole.events.allSatisfy { $0.count <= eventMax }, "an event is larger than the limit")
    },
    FuzzTarget(name: "chunk", tokens: words) { bytes in
      var text: [UInt8] = []
      let chunk = bytes.withUnsafeBytes { ChatChunk.scan($0, text: &text) }
      try expect((chunk.kind == .content) == (chunk.codePoints > 0), "content without text, or text without")
      try expect(String(validating: text, as: UTF8.self) != nil, "the text is no UTF-8")
      guard chunk.kind != .malformed else { return }
      try expect((try? JSON(parsing: Data(bytes))) != nil, "taken, and is no JSON")
    },
    FuzzTarget(name: "stream", tokens: words) { bytes in
      let form = ChunkForm(
        id: "j\"1", frame: .init(model: "m\\", isChat: bytes.count % 2 == 0), createdSeconds: 1,
        keepsLogprobs: true)
      var answer = ChunkForm.Collected()
      var output: [UInt8] = []
      for event in events(bytes, parts: [bytes.count]).events {
        event.withUnsafeBytes { buffer in
          var text: [UInt8] = []
          let chunk = ChatChunk.scan(buffer, text: &text)
          form.append(chunk, of: buffer, isFirst: output.isEmpty, to: &output)
          form.collect(chunk, of: buffer, into: &answer)
        }
      }
      output += form.end(hasFinishReason: false, usage: .init(promptTokens: 1, completionTokens: 2))
      // What a user gets is whole events of one line, each of them JSON.
      for event in String(decoding: output, as: UTF8.self).components(separatedBy: "\n\n").dropLast() {
        try expect(
          event.hasPrefix("data: ") && !event.contains("\n"), "a user's event is broken: \(event.prefix(80))")
        let json = event.dropFirst(6)
        try expect(
          json == "[DONE]" || (try? JSON(parsing: Data(json.utf8))) != nil,
          "a user gets no JSON: \(json.prefix(200))")
      }
      let whole = form.whole(answer, usage: .init(promptTokens: 1, completionTokens: 2))
      try expect((try? JSON(parsing: Data(whole))) != nil, "a whole answer is no JSON")
    },
    FuzzTarget(
      name: "body", tokens: ["\"image_b64\":\"", "\"is_nsfw\":true", "\"clip_embeddings\":[[", "429"]
    ) { bytes in
      let body = bytes.withUnsafeBytes { AnswerBody($0) }
      try expect((0...AnswerBody.embeddingsMax).contains(body?.embeddings ?? 0), "too many embeddings")
      if body != nil {
        try expect((try? JSON(parsing: Data(bytes))) != nil, "taken, and is no JSON")
      }
      _ = bytes.withUnsafeBytes { InBandError.isRateLimit($0) }
    },
  ]

  private static let eventMax = 2_000

  /// The events of a stream that comes in parts of these sizes, and whether it was refused.
  private static func events(_ bytes: [UInt8], parts: [Int]) -> (events: [[UInt8]], Bool) {
    var parser = SSEParser(eventBytesMax: eventMax)
    var events: [[UInt8]] = []
    var start = 0
    do throws(SSEParser.Failure) {
      for size in parts {
        let end = min(bytes.count, start + size)
        try parser.feed(bytes[start..<end]) { events.append(Array($0)) }
        start = end
      }
      try parser.finish { events.append(Array($0)) }
      return (events, false)
    } catch {
      return (events, true)
    }
  }
}
