import Common
import Foundation

/// An element of a list that is stored packed: each number as short as it is, times as differences.
protocol PackedElement: Equatable, Sendable {
  /// Writes the element. `previous` is the one before it in the list.
  func pack(after previous: Self?, into writer: inout PackedWriter)
  /// Reads what `pack` wrote; nil when it is no such element.
  static func unpacked(after previous: Self?, from reader: inout PackedReader) -> Self?
}

/// Lists by task and hotkey, which make up nearly all of a large state: encoded as one base64 text for each
/// task. With 256 miners, 12 tasks and 200 verdicts each, plain JSON takes seconds. Equal tables encode to
/// equal bytes.
@propertyWrapper
struct Packed<Element: PackedElement>: Equatable, Sendable, Codable {
  /// The lists, by task and hotkey.
  var wrappedValue: [String: [String: [Element]]]

  init(wrappedValue: [String: [String: [Element]]]) { self.wrappedValue = wrappedValue }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = [:]
    for (task, data) in try container.decode([String: Data].self) {
      guard let lists = Self.unpack(data) else {
        throw DecodingError.dataCorruptedError(
          in: container, debugDescription: "the packed lists of task \(task) are damaged")
      }
      wrappedValue[task] = lists
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue.mapValues(Self.pack))
  }

  private static func pack(_ lists: [String: [Element]]) -> Data {
    var writer = PackedWriter()
    for (hotkey, list) in lists.sorted(by: { $0.key < $1.key }) {
      writer.add(hotkey)
      writer.add(list.count)
      var previous: Element?
      for element in list {
        element.pack(after: previous, into: &writer)
        previous = element
      }
    }
    return Data(writer.bytes)
  }

  private static func unpack(_ data: Data) -> [String: [Element]]? {
    var reader = PackedReader(Array(data))
    var lists: [String: [Element]] = [:]
    while !reader.isAtEnd {
      // No element is shorter than a byte, so a count beyond the rest is not believed.
      guard let hotkey = reader.text(), let count = reader.int(), (0...reader.left).contains(count),
        lists[hotkey] == nil
      else { return nil }
      var list: [Element] = []
      list.reserveCapacity(count)
      for _ in 0..<count {
        guard let element = Element.unpacked(after: list.last, from: &reader) else { return nil }
        list.append(element)
      }
      lists[hotkey] = list
    }
    return lists
  }
}

extension RewardRow: PackedElement {
  func pack(after previous: RewardRow?, into writer: inout PackedWriter) {
    writer.add(timeMilliseconds &- (previous?.timeMilliseconds ?? 0))
    writer.add(score)
    writer.add(workMilli)
    writer.add(units)
    writer.add(totalMilliseconds)
  }

  static func unpacked(after previous: RewardRow?, from reader: inout PackedReader) -> RewardRow? {
    guard let time = reader.int(), let score = reader.double(), score.isFinite, let work = reader.int(),
      let units = reader.int(), let total = reader.int()
    else { return nil }
    return RewardRow(
      timeMilliseconds: time &+ (previous?.timeMilliseconds ?? 0), score: score, workMilli: work,
      units: units, totalMilliseconds: total)
  }
}

extension PastPeriod: PackedElement {
  func pack(after previous: PastPeriod?, into writer: inout PackedWriter) {
    writer.add(startSeconds &- (previous?.startSeconds ?? 0))
    writer.add(score)
    writer.add(workMilli)
  }

  static func unpacked(after previous: PastPeriod?, from reader: inout PackedReader) -> PastPeriod? {
    guard let start = reader.int(), let score = reader.double(), score.isFinite, let work = reader.int()
    else { return nil }
    return PastPeriod(
      startSeconds: start &+ (previous?.startSeconds ?? 0), score: score, workMilli: work)
  }
}

/// Writes numbers and texts one after the other.
struct PackedWriter {
  private(set) var bytes: [UInt8] = []

  /// Seven bits to a byte, lowest first, the sign in the lowest bit: small numbers take one or two bytes.
  mutating func add(_ number: Int) {
    var rest = UInt(bitPattern: (number << 1) ^ (number >> (Int.bitWidth - 1)))
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// All 64 bits, so that it reads back the same.
  mutating func add(_ number: Double) {
    withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func add(_ text: String) {
    add(text.utf8.count)
    bytes.append(contentsOf: text.utf8)
  }
}

/// Reads what a ``PackedWriter`` wrote; whatever does not fit is nil.
struct PackedReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var left: Int { bytes.count - position }
  var isAtEnd: Bool { left == 0 }

  mutating func int() -> Int? {
    var value: UInt = 0
    for shift in stride(from: UInt(0), to: 70, by: 7) {
      guard left > 0 else { return nil }
      let byte = bytes[position]
      position += 1
      value |= UInt(byte & 0x7f) << shift
      if byte < 0x80 { return Int(bitPattern: value >> 1) ^ -Int(bitPattern: value & 1) }
    }
    return nil
  }

  mutating func double() -> Double? {
    guard left >= 8 else { return nil }
    var bits: UInt64 = 0
    for index in 0..<8 { bits |= UInt64(bytes[position + index]) << UInt64(8 * index) }
    position += 8
    return Double(bitPattern: bits)
  }

  mutating func text() -> String? {
    guard let count = int(), (0...left).contains(count) else { return nil }
    defer { position += count }
    return String(validating: bytes[position..<position + count], as: UTF8.self)
  }
}
