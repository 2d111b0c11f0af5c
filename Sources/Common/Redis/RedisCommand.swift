/// One command in the bytes of the Redis protocol, built argument by argument into one buffer. A zero follows it
/// there: hiredis 0.14 looks for the next argument behind the last one (`nextArgument` in async.c).
public struct RedisCommand: Sendable {
  /// Room at the front for `*<count>\r\n`, which grows to the left as arguments are added.
  private static let headerMax = 16
  private var buffer: [UInt8] = []
  private var count = 0
  /// Where the command begins in `buffer`.
  private var start = RedisCommand.headerMax - 3

  /// A command with its name and first arguments.
  public init(_ words: String...) {
    self.init(words: words)
  }

  /// A command from a list of words.
  public init(words: [String], capacity: Int = 240) {
    buffer.reserveCapacity(RedisCommand.headerMax + capacity)
    for _ in 0..<RedisCommand.headerMax - 2 { buffer.append(0) }
    appendLineEnd()
    buffer.append(0)
    for word in words { add(word) }
  }

  /// Appends a text argument.
  public mutating func add(_ text: String) {
    var text = text
    text.withUTF8 { append($0) }
  }

  /// Appends an integer argument in decimal.
  public mutating func add(_ number: Int) {
    guard number >= 0 else { return add(String(number)) }
    begin(bytes: RedisCommand.digits(number))
    appendDecimal(number)
    end()
  }

  /// Appends an argument of any bytes.
  public mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBufferPointer { append($0) } }

  /// Appends an argument of any bytes.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    append(bytes.assumingMemoryBound(to: UInt8.self))
  }

  private mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    begin(bytes: bytes.count)
    buffer.append(contentsOf: bytes)
    end()
  }

  /// Begins an argument in the place of the closing zero.
  private mutating func begin(bytes: Int) {
    countOneMore()
    buffer[buffer.count - 1] = UInt8(ascii: "$")
    appendDecimal(bytes)
    appendLineEnd()
  }

  /// Ends an argument, and the command for the time being.
  private mutating func end() {
    appendLineEnd()
    buffer.append(0)
  }

  private mutating func appendLineEnd() {
    buffer.append(13)
    buffer.append(10)
  }

  private static func digits(_ value: Int) -> Int {
    var (rest, count) = (value, 1)
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// Writes `*<count>` in front of the line end that closes the header.
  private mutating func countOneMore() {
    count += 1
    start = RedisCommand.headerMax - 2
    var rest = count
    repeat {
      start -= 1
      buffer[start] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    } while rest > 0
    start -= 1
    buffer[start] = UInt8(ascii: "*")
  }

  private mutating func appendDecimal(_ value: Int) {
    if value >= 10 { appendDecimal(value / 10) }
    buffer.append(UInt8(ascii: "0") + UInt8(value % 10))
  }

  /// Gives the whole command as bytes for the length of the call; a zero follows them in memory.
  func withBytes<T>(_ body: (UnsafeBufferPointer<UInt8>) -> T) -> T {
    buffer.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[start..<($0.count - 1)])) }
  }
}
