/// What a miner's complete JSON answer (not a stream) holds, found by a scan without building values.
public struct AnswerBody: Equatable, Sendable {
  /// Whether there is a picture, or the miner says that it would not show one (`is_nsfw`).
  public private(set) var hasImage = false
  /// Embeddings returned.
  public private(set) var embeddings = 0

  /// Most embeddings counted.
  public static let embeddingsMax = 1024

  /// Scans an answer; nil when it is not a JSON object.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard var scanner = JSONScanner(bytes) else { return nil }
    do throws(JSONScanner.Malformed) {
      try readTop(&scanner)
    } catch {
      return nil
    }
  }

  private mutating func readTop(_ scanner: inout JSONScanner) throws(JSONScanner.Malformed) {
    guard try scanner.peek() == UInt8(ascii: "{") else { throw JSONScanner.Malformed() }
    var hasMember = try scanner.enter(closing: UInt8(ascii: "}"))
    while hasMember {
      let key = try scanner.key()
      let next = try scanner.peek()
      if scanner.equals(key, "image_b64"), next == UInt8(ascii: "\"") {
        let text = try scanner.string()
        if text.end > text.start { hasImage = true }
      } else if scanner.equals(key, "is_nsfw"), next == UInt8(ascii: "t") {
        try scanner.skip(depth: 1)
        hasImage = true
      } else if scanner.equals(key, "clip_embeddings"), next == UInt8(ascii: "[") {
        var hasItem = try scanner.enter(closing: UInt8(ascii: "]"))
        while hasItem {
          embeddings = min(embeddings + 1, AnswerBody.embeddingsMax)
          try scanner.skip(depth: 2)
          hasItem = try scanner.nextItem(closing: UInt8(ascii: "]"))
        }
      } else {
        try scanner.skip(depth: 1)
      }
      hasMember = try scanner.nextItem(closing: UInt8(ascii: "}"))
    }
    try scanner.end()
  }
}
