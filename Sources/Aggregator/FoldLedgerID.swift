/// The id of a ledger entry: the Redis stream id `<milliseconds>-<sequence>`.
public struct LedgerID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  /// When the entry was written, in Unix milliseconds, by Redis's clock.
  public let milliseconds: Int
  /// The entry's number within its millisecond.
  public let sequence: Int

  /// Before every entry.
  public static let zero = LedgerID(milliseconds: 0, sequence: 0)

  /// Names an entry.
  public init(milliseconds: Int, sequence: Int) {
    self.milliseconds = milliseconds
    self.sequence = sequence
  }

  /// Reads what `description` prints; nil when it is not of that form.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let milliseconds = Int(parts[0]), milliseconds >= 0,
      let sequence = Int(parts[1]), sequence >= 0
    else { return nil }
    self.init(milliseconds: milliseconds, sequence: sequence)
  }

  /// Such as `1732288800123-0`.
  public var description: String { "\(milliseconds)-\(sequence)" }

  /// Whether `left` was written first.
  public static func < (left: LedgerID, right: LedgerID) -> Bool {
    (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
  }

  /// Reads the text form.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = LedgerID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a stream id")
    }
    self = id
  }

  /// Writes the text form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
