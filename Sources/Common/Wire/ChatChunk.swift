import Foundation

/// What one server-sent event of a text stream says, found by a scan of its bytes without building values.
///
/// Three dialects are read, by their shape:
/// - chat: `{"choices": [{"delta": {"content": "…"}, "logprobs": …}]}` (OpenAI, vLLM)
/// - completion: `{"choices": [{"text": "…", "logprobs": …}]}`
/// - bare: `{"text": "…", "logprobs": …}` (miners of namoray/vision)
///
/// A key counts only in its own place, in any order; of a repeated key the last one wins. JSON that is valid
/// but of the wrong shape (`choices` no list, `content` a number) is malformed like any other garbage.
public struct ChatChunk: Equatable, Sendable {
  /// What a chunk is good for.
  public enum Kind: Sendable {
    /// It carries text.
    case content
    /// It is in order and carries none: the role, the finish reason, the usage, a heartbeat.
    case empty
    /// The server reports an error inside the stream.
    case error
    /// Not JSON, not a chunk, too deep or too large.
    case malformed
  }

  /// What the chunk is good for.
  public internal(set) var kind = Kind.malformed
  /// Unicode code points of the text; 0 unless `kind` is `content`.
  public internal(set) var codePoints = 0
  /// Whether the first choice (or a bare chunk) has log probabilities that are not null.
  public internal(set) var hasLogprobs = false
  /// Whether the first choice has a finish reason that is not null.
  public internal(set) var hasFinishReason = false
  /// Whether the chunk has a `usage` that is not null.
  public internal(set) var hasUsage = false

  /// The place of the text, as it stands between its quotes.
  var content: Range<Int>?
  /// The place of the first choice's finish reason between its quotes; nil when it is no text.
  public internal(set) var finishReason: Range<Int>?
  /// The place of the first choice's log probabilities; nil when they are null or a bare chunk's.
  var logprobs: Range<Int>?

  /// Most bytes of a chunk; a larger one is malformed.
  public static let bytesMax = 256 * 1024

  /// Scans the data of one event.
  /// - Parameters:
  ///   - bytes: the event's data.
  ///   - text: receives the chunk's text as UTF-8, or the message of an error; empty otherwise. Pass the
  ///     same array each time and nothing is allocated.
  public static func scan(_ bytes: UnsafeRawBufferPointer, text: inout [UInt8]) -> ChatChunk {
    text.removeAll(keepingCapacity: true)
    guard bytes.count <= bytesMax, let scanner = JSONScanner(bytes) else { return ChatChunk() }
    var reader = ChatChunkReader(scanner)
    do throws(JSONScanner.Malformed) {
      try reader.readTop()
    } catch {
      return ChatChunk()
    }
    return reader.chunk(of: bytes, text: &text)
  }

  /// As the other form, for bytes in an array: for tests and for places that are not hot.
  public static func scan(_ bytes: [UInt8]) -> (chunk: ChatChunk, text: String) {
    var text: [UInt8] = []
    let chunk = bytes.withUnsafeBytes { scan($0, text: &text) }
    return (chunk, String(decoding: text, as: UTF8.self))
  }
}
