/// One command in the bytes of the Redis protocol, built argument by argument into one buffer. A zero follows it
/// there: hiredis 0.14 looks for the next argument behind the last one (`nextArgument` in async.c).
public struct RedisCommand: Sendable {
  /// Room at the front for `*<count>\r\n`, which grows to the left as arguments are added.
  private static let headerMax = 16
  /// What an argument takes besides its bytes: `$<length>\r\n`, `\r\n` and the closing zero.
  private static let framingMax = 32
  /// Room is made in these steps, and longer arguments are appended: room costs as much as what fills it.
  private static let roomStep = 256
  /// The command, and room behind it.
  private var buffer: [UInt8]
  /// Where the command begins in `buffer`.
  private var start = RedisCommand.headerMax - 3
  /// Where the closing zero stands.
  private var end = RedisCommand.headerMax

  /// A command with its name and first arguments.
  public init(_ words: String...) {
    self.init(words: words)
  }

  /// A command from a list of words.
  public init(words: [String], capacity: Int = 240) {
    buffer = []
    buffer.reserveCapacity(RedisCommand.headerMax + capacity)
    makeRoom(for: 0)
    buffer[end - 2] = 13
    buffer[end - 1] = 10
    for word in words { add(word) }
  }

  /// Appends a text argument.
  public mutating func add(_ text: String) {
    if text.utf8.withContiguousStorageIfAvailable({ append($0) }) == nil { append(slowly: text) }
  }

  /// Text that is not stored as UTF-8, such as a bridged string.
  private mutating func append(slowly text: String) {
    var text = text
    text.withUTF8 { append($0) }
  }

  /// Appends an integer argument in decimal.
  public mutating func add(_ number: Int) {
    guard number >= 0 else { return add(String(number)) }
    countOneMore()
    makeRoom(for: 20)
    let from = end
    end = buffer.withUnsafeMutableBufferPointer { room in
      let digits = RedisCommand.digits(number)
      var at = RedisCommand.write(header: digits, to: room, from)
      RedisCommand.write(number, digits: digits, to: room, at)
      at += digits
      return RedisCommand.close(room, at)
    }
  }

  /// Appends an argument of any bytes.
  public mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBufferPointer { append($0) } }

  /// Appends an argument of any bytes.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    append(bytes.assumingMemoryBound(to: UInt8.self))
  }

  private mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    countOneMore()
    guard bytes.count <= RedisCommand.roomStep else { return appendLong(bytes) }
    makeRoom(for: bytes.count)
    let from = end
    end = buffer.withUnsafeMutableBufferPointer { room in
      let at = RedisCommand.write(header: bytes.count, to: room, from)
      if let first = bytes.baseAddress { (room.baseAddress! + at).update(from: first, count: bytes.count) }
      return RedisCommand.close(room, at + bytes.count)
    }
  }

  private mutating func appendLong(_ bytes: UnsafeBufferPointer<UInt8>) {
    makeRoom(for: 0)
    let from = end
    let at = buffer.withUnsafeMutableBufferPointer {
      RedisCommand.write(header: bytes.count, to: $0, from)
    }
    buffer.removeLast(buffer.count - at)
    buffer.append(contentsOf: bytes)
    end = buffer.count
    makeRoom(for: 0)
    end = buffer.withUnsafeMutableBufferPointer { [end] in RedisCommand.close($0, end) }
  }

  /// Makes room for one more argument.
  private mutating func makeRoom(for bytes: Int) {
    let needed = end + bytes + RedisCommand.framingMax
    guard needed > buffer.count else { return }
    buffer.append(contentsOf: repeatElement(0, count: max(needed - buffer.count, RedisCommand.roomStep)))
  }

  /// Writes `$<length>` and a line end; returns where the argument's bytes begin.
  private static func write(header length: Int, to room: UnsafeMutableBufferPointer<UInt8>, _ at: Int) -> Int
  {
    let digits = digits(length)
    room[at] = UInt8(ascii: "$")
    write(length, digits: digits, to: room, at + 1)
    room[at + 1 + digits] = 13
    room[at + 2 + digits] = 10
    return at + 3 + digits
  }

  /// Writes the line end and the closing zero; returns where that stands.
  private static func close(_ room: UnsafeMutableBufferPointer<UInt8>, _ at: Int) -> Int {
    room[at] = 13
    room[at + 1] = 10
    room[at + 2] = 0
    return at + 2
  }

  private static func write(
    _ value: Int, digits: Int, to room: UnsafeMutableBufferPointer<UInt8>, _ at: Int
  ) {
    var (rest, place) = (value, at + digits)
    repeat {
      place -= 1
      room[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while place > at
  }

  private static func digits(_ value: Int) -> Int {
    var (rest, count) = (value, 1)
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// Adds one to the number in `*<count>`, where it stands: in front of the line end that closes the header.
  private mutating func countOneMore() {
    var digit = RedisCommand.headerMax - 3
    while digit > start, buffer[digit] == UInt8(ascii: "9") {
      buffer[digit] = UInt8(ascii: "0")
      digit -= 1
    }
    if digit > start { return buffer[digit] += 1 }
    buffer[start] = UInt8(ascii: "1")
    start -= 1
    buffer[start] = UInt8(ascii: "*")
  }

  /// Gives the whole command as bytes for the length of the call; a zero follows them in memory.
  func withBytes<T>(_ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
    buffer.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[start..<end])) }
  }
}
