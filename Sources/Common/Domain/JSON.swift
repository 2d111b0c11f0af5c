import Foundation

/// A JSON value, for configuration and for bodies that are not on a hot path. Object keys are unordered.
public enum JSON: Codable, Equatable, Sendable {
  /// The literal `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number without fraction or exponent that fits 64 bits.
  case integer(Int)
  /// Any other number.
  case number(Double)
  /// A string.
  case string(String)
  /// An array.
  case array([JSON])
  /// An object.
  case object([String: JSON])

  /// Reads any JSON value.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSON].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSON].self))
    }
  }

  /// Writes the value.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  /// Parses JSON text. Throws Foundation's `DecodingError` when it is not JSON.
  public init(parsing data: Data) throws {
    var order: KeyOrder?
    try self.init(parsing: data, noting: &order)
  }

  /// As the other form; when `order` is not nil it notes in which order members stand.
  init(parsing data: Data, noting order: inout KeyOrder?) throws {
    do {
      self = try data.withUnsafeBytes { bytes in
        try JSONParser.parse(bytes.bindMemory(to: UInt8.self), noting: &order)
      }
    } catch let error as JSONParser.Malformed {
      let reason = "byte \(error.offset): \(error.problem)"
      throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: reason))
    }
  }

  /// The value as JSON text with sorted keys: equal values give equal bytes.
  public func canonicalText() -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Only a non-finite number cannot be written, and JSON text never holds one.
    guard let data = try? encoder.encode(self) else { return "null" }
    return String(decoding: data, as: UTF8.self)
  }

  /// The member `key` of an object; nil for anything else.
  public subscript(key: String) -> JSON? {
    if case .object(let members) = self { return members[key] }
    return nil
  }

  /// The element `index` of an array; nil for anything else.
  public subscript(index: Int) -> JSON? {
    if case .array(let elements) = self, elements.indices.contains(index) { return elements[index] }
    return nil
  }

  /// The text of a string; nil for anything else.
  public var text: String? {
    if case .string(let value) = self { return value }
    return nil
  }

  /// The value of a number as a double; nil for anything else.
  public var double: Double? {
    switch self {
    case .integer(let value): return Double(value)
    case .number(let value): return value
    default: return nil
    }
  }

  /// The value of an integer; nil for anything else.
  public var int: Int? {
    if case .integer(let value) = self { return value }
    return nil
  }

  /// The value of a boolean; nil for anything else.
  public var flag: Bool? {
    if case .bool(let value) = self { return value }
    return nil
  }
}
