/// A period, named by its start in Unix seconds.
public struct PeriodID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  /// The start of the period, in seconds since 1970.
  public let startSeconds: Int

  /// The period that starts at the given second.
  public init(startSeconds: Int) { self.startSeconds = startSeconds }

  /// Reads what `description` prints; nil when it is not a positive decimal number.
  public init?(_ text: some StringProtocol) {
    guard let value = Int(text), value > 0 else { return nil }
    self.init(startSeconds: value)
  }

  /// The start in seconds, in decimal.
  public var description: String { String(startSeconds) }

  /// Whether `left` starts first.
  public static func < (left: PeriodID, right: PeriodID) -> Bool { left.startSeconds < right.startSeconds }

  /// Reads a plain number.
  public init(from decoder: any Decoder) throws {
    startSeconds = try decoder.singleValueContainer().decode(Int.self)
  }

  /// Writes a plain number.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(startSeconds)
  }
}

/// What a job is for. The raw values stand in job ids, job hashes and the ledger.
public enum JobKind: String, Sendable, Codable, CaseIterable {
  /// A real user's request.
  case organic
  /// A test query that the producer planned.
  case synthetic
  /// An answer to be scored by a checking server.
  case check
}

/// A planned synthetic query. Its id says all that is needed to build it: the period, the task, the
/// miner's index in the period's roster, and a number that is unique among that miner's queries.
public struct SyntheticJob: Hashable, Sendable, CustomStringConvertible {
  /// The period that planned it.
  public let period: PeriodID
  /// The task's name.
  public let task: String
  /// The miner's index in the period's roster snapshot.
  public let miner: Int
  /// The query's number among those of the same task and miner, from 0.
  public let number: Int

  /// Names a planned query.
  public init(period: PeriodID, task: String, miner: Int, number: Int) {
    self.period = period
    self.task = task
    self.miner = miner
    self.number = number
  }

  /// Reads an id such as `s:1732288800:chat-mixtral:12:7`; nil when it is not of that form.
  public init?(id: some StringProtocol) {
    var text = String(id)
    let read = text.withUTF8 { bytes -> (period: Int, task: Range<Int>, miner: Int, number: Int)? in
      guard bytes.count > 2, bytes[0] == UInt8(ascii: "s"), bytes[1] == UInt8(ascii: ":") else { return nil }
      guard let (period, first) = SyntheticJob.decimal(bytes, 2), first < bytes.count,
        let second = bytes[first...].firstIndex(of: UInt8(ascii: ":")), second > first,
        let (miner, third) = SyntheticJob.decimal(bytes, second + 1),
        let (number, end) = SyntheticJob.decimal(bytes, third), end == bytes.count + 1
      else { return nil }
      return (period, first..<second, miner, number)
    }
    guard let read, read.period > 0 else { return nil }
    let utf8 = text.utf8
    let task = utf8.index(utf8.startIndex, offsetBy: read.task.lowerBound)
    let end = utf8.index(task, offsetBy: read.task.count)
    self.init(
      period: PeriodID(startSeconds: read.period), task: String(text[task..<end]), miner: read.miner,
      number: read.number)
  }

  /// The digits from `start` up to a colon or the end, and where the next field begins.
  private static func decimal(
    _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int
  ) -> (value: Int, next: Int)? {
    var (value, index) = (0, start)
    while index < bytes.count, bytes[index] != UInt8(ascii: ":") {
      let digit = Int(bytes[index]) - 0x30
      guard (0...9).contains(digit), index - start < 18 else { return nil }
      value = value * 10 + digit
      index += 1
    }
    return index > start ? (value, index + 1) : nil
  }

  /// The job's id.
  public var description: String { "s:\(period):\(task):\(miner):\(number)" }
}
