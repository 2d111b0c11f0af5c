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

  /// The text of a bare chunk, as it stands between its quotes.
  var bareText: Range<Int>?
  /// The places of the choices' `logprobs` members, commas included, in order and apart.
  var firstCut: Range<Int>?
  var furtherCuts: [Range<Int>] = []

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

  /// Appends the chunk as the user gets it: one line, in OpenAI's chunk shape, without log probabilities.
  /// A bare chunk is rewritten as a chat chunk. Nothing is appended for errors and malformed chunks.
  /// - Parameter bytes: the same bytes that were scanned.
  public func appendStripped(of bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    guard kind == .content || kind == .empty else { return }
    let start = output.count
    if let bareText {
      output.append(contentsOf: Self.barePrefix)
      output.append(contentsOf: bytes[bareText])
      output.append(contentsOf: Self.bareSuffix)
      return
    }
    var index = 0
    if let firstCut {
      output.append(contentsOf: bytes[0..<firstCut.lowerBound])
      index = firstCut.upperBound
    }
    for cut in furtherCuts {
      output.append(contentsOf: bytes[index..<cut.lowerBound])
      index = cut.upperBound
    }
    output.append(contentsOf: bytes[index...])
    // Line ends can only be white space between tokens here, and would break the reply's framing.
    guard
      memchr(bytes.baseAddress!, 0x0a, bytes.count) != nil
        || memchr(bytes.baseAddress!, 0x0d, bytes.count) != nil
    else { return }
    for index in start..<output.count where output[index] == 0x0a || output[index] == 0x0d {
      output[index] = 0x20
    }
  }

  private static let barePrefix = Array(
    #"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""#.utf8)
  private static let bareSuffix = Array(#""},"finish_reason":null}]}"#.utf8)
}
