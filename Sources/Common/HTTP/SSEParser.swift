import Foundation

/// Cuts a stream of server-sent events (WHATWG HTML, section 9.2 "Server-sent events") into the `data` of
/// each event. The result does not depend on how the bytes were split between calls.
///
/// Held to: lines end with LF, CR or CRLF; a byte order mark at the start is skipped; a line that starts
/// with a colon is a comment; one space after the colon belongs to the syntax, a second one to the value;
/// several `data` lines are joined with LF; an event without a `data` line is none; other fields (`event`,
/// `id`, `retry`) are ignored.
///
/// Departs from WHATWG at one point: ``finish(_:)`` delivers an event whose blank line, or whose last line
/// end, never came. Inference servers exist that end so, and the text of the last token must not be lost.
/// Call it only when the body ended cleanly; half a JSON object is then found malformed by who reads it.
///
/// An event that lies whole inside the fed bytes, with one `data` line, is handed over in place: nothing is
/// copied and nothing allocated.
public struct SSEParser: Sendable {
  /// Why a stream cannot be read further.
  public enum Failure: Error, Equatable, Sendable {
    /// A line, or the data of an event, is longer than the maximum.
    case eventTooLarge
  }

  /// Most bytes of a line, and of an event's data.
  public let eventBytesMax: Int
  /// The beginning of a line whose end has not come.
  private var partialLine: [UInt8] = []
  /// The data lines of the current event that were copied, joined with LF.
  private var joined: [UInt8] = []
  private var hasJoined = false
  /// The last line ended with CR: a LF that comes next belongs to it.
  private var skipsLineFeed = false
  /// How many bytes of the byte order mark were seen; nil once the start of the stream is behind.
  private var markSeen: Int? = 0
  private var isFailed = false

  private static let mark: [UInt8] = [0xef, 0xbb, 0xbf]

  /// A parser at the start of a stream.
  /// - Parameter eventBytesMax: most bytes of a line and of an event's data.
  public init(eventBytesMax: Int) {
    precondition(eventBytesMax > 0)
    self.eventBytesMax = eventBytesMax
  }

  /// Whether an event's data is the `[DONE]` with which OpenAI's protocol ends a stream.
  public static func isDone(_ data: UnsafeRawBufferPointer) -> Bool {
    var end = data.count
    while end > 0, data[end - 1] == 0x20 { end -= 1 }
    var start = 0
    while start < end, data[start] == 0x20 { start += 1 }
    return end - start == 6 && memcmp(data.baseAddress! + start, "[DONE]", 6) == 0
  }

  /// Takes the next bytes and calls `event` with the data of each event that they complete. The slice is
  /// valid during the call only, and the closure must not touch this parser.
  /// - Throws: `eventTooLarge`, after the events before it; from then on every call throws it.
  public mutating func feed(
    _ bytes: UnsafeRawBufferPointer, _ event: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    guard !isFailed else { throw .eventTooLarge }
    var rest = afterMark(bytes)
    /// The one data line of the current event so far, still in place.
    var inPlace: UnsafeRawBufferPointer?
    while rest.count > 0 {
      if skipsLineFeed {
        skipsLineFeed = false
        if rest[0] == 0x0a {
          rest = slice(rest, 1, rest.count)
          continue
        }
      }
      guard let end = lineEnd(rest) else {
        partialLine.append(contentsOf: rest)
        try check(partialLine.count)
        break
      }
      let line = slice(rest, 0, end)
      skipsLineFeed = rest[end] == 0x0d
      rest = slice(rest, end + 1, rest.count)
      if partialLine.isEmpty {
        try take(line: line, isInPlace: true, &inPlace, event)
      } else {
        partialLine.append(contentsOf: line)
        try takePartialLine(&inPlace, event)
      }
    }
    if let kept = inPlace { try join(kept) }
  }

  /// As the other form, for bytes in an array.
  public mutating func feed(
    _ bytes: ArraySlice<UInt8>, _ event: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    // Rethrown by hand: withUnsafeBytes does not carry the type of what its body throws.
    let failure: Failure? = bytes.withUnsafeBytes { buffer in
      do throws(Failure) {
        try feed(buffer, event)
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
  }

  /// Ends the stream: delivers the event that lacks its blank line or its last line end, if there is one.
  /// - Throws: `eventTooLarge`.
  public mutating func finish(_ event: (UnsafeRawBufferPointer) -> Void) throws(Failure) {
    guard !isFailed else { throw .eventTooLarge }
    if let seen = markSeen { partialLine = Array(Self.mark[..<seen]) }
    markSeen = nil
    var inPlace: UnsafeRawBufferPointer?
    if !partialLine.isEmpty { try takePartialLine(&inPlace, event) }
    try dispatch(&inPlace, event)
  }

  // MARK: lines

  /// The position of the first CR or LF.
  private func lineEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
    let base = bytes.baseAddress!
    let lineFeed = memchr(base, 0x0a, bytes.count).map { UnsafeRawPointer($0) - base }
    let within = lineFeed ?? bytes.count
    return memchr(base, 0x0d, within).map { UnsafeRawPointer($0) - base } ?? lineFeed
  }

  private mutating func takePartialLine(
    _ inPlace: inout UnsafeRawBufferPointer?, _ event: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    // Taken out while it is read, and put back for its memory.
    var line: [UInt8] = []
    swap(&line, &partialLine)
    let failure: Failure? = line.withUnsafeBytes { buffer in
      do throws(Failure) {
        try take(line: buffer, isInPlace: false, &inPlace, event)
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
    line.removeAll(keepingCapacity: line.capacity <= 4096)
    swap(&line, &partialLine)
  }

  private mutating func take(
    line: UnsafeRawBufferPointer, isInPlace: Bool, _ inPlace: inout UnsafeRawBufferPointer?,
    _ event: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    try check(line.count)
    guard line.count > 0 else {
      try dispatch(&inPlace, event)
      return
    }
    guard let value = Self.dataValue(line) else { return }
    if isInPlace, inPlace == nil, !hasJoined {
      inPlace = value
      return
    }
    if let kept = inPlace {
      inPlace = nil
      try join(kept)
    }
    try join(value)
  }

  /// The value of a `data` line; nil for comments and other fields.
  private static func dataValue(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard line.count >= 4, memcmp(line.baseAddress!, "data", 4) == 0 else { return nil }
    if line.count == 4 { return UnsafeRawBufferPointer(rebasing: line[4...]) }
    guard line[4] == 0x3a else { return nil }
    let start = line.count > 5 && line[5] == 0x20 ? 6 : 5
    return UnsafeRawBufferPointer(rebasing: line[start...])
  }

  private mutating func join(_ value: UnsafeRawBufferPointer) throws(Failure) {
    try check(joined.count + (hasJoined ? 1 : 0) + value.count)
    if hasJoined { joined.append(0x0a) }
    joined.append(contentsOf: value)
    hasJoined = true
  }

  private mutating func dispatch(
    _ inPlace: inout UnsafeRawBufferPointer?, _ event: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    if let kept = inPlace {
      inPlace = nil
      event(kept)
    } else if hasJoined {
      joined.withUnsafeBytes { event($0) }
      joined.removeAll(keepingCapacity: joined.capacity <= 4096)
      hasJoined = false
    }
  }

  private mutating func check(_ count: Int) throws(Failure) {
    guard count > eventBytesMax else { return }
    isFailed = true
    throw .eventTooLarge
  }

  private func slice(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[start..<end])
  }

  // MARK: the byte order mark

  /// Skips the byte order mark at the start of the stream, which may come in pieces.
  private mutating func afterMark(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard var seen = markSeen else { return bytes }
    var index = 0
    while seen < 3, index < bytes.count, bytes[index] == Self.mark[seen] {
      seen += 1
      index += 1
    }
    if seen < 3, index == bytes.count {
      markSeen = seen
      return slice(bytes, index, index)
    }
    markSeen = nil
    // Not a mark after all: what looked like it is the beginning of the first line.
    if seen < 3 { partialLine = Array(Self.mark[..<seen]) }
    return slice(bytes, index, bytes.count)
  }
}
