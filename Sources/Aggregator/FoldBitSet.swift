import Foundation

/// A set of small numbers, one bit each; encoded as base64, so that a large plan stays small.
struct BitSet: Equatable, Sendable, Codable {
  private var bytes: [UInt8]

  /// An empty set of numbers below `count`.
  init(count: Int) { bytes = [UInt8](repeating: 0, count: (count + 7) / 8) }

  /// Adds a number; false when it was there. Precondition: below the set's count.
  mutating func insert(_ number: Int) -> Bool {
    let bit = UInt8(1) << UInt8(number & 7)
    if bytes[number >> 3] & bit != 0 { return false }
    bytes[number >> 3] |= bit
    return true
  }

  /// Whether the set has room for numbers below `count`, and no more.
  func fits(count: Int) -> Bool { bytes.count == (count + 7) / 8 }

  init(from decoder: any Decoder) throws {
    bytes = Array(try decoder.singleValueContainer().decode(Data.self))
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Data(bytes))
  }
}
