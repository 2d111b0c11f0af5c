import Foundation

@testable import Common

/// A small JSON parser for trusted files. Foundation's decoder takes ten times as long for megabytes of
/// numbers, and its older parser is one bit off for some of them.
struct GoldenParser {
  private let bytes: [UInt8]
  private var place = 0

  static func parse(_ data: Data) throws -> JSON {
    var parser = GoldenParser(bytes: Array(data) + [0])
    return try parser.value()
  }

  private mutating func next() -> UInt8 {
    while [0x20, 0x0a, 0x0d, 0x09].contains(bytes[place]) { place += 1 }
    return bytes[place]
  }

  private mutating func take(_ byte: Character) throws {
    guard next() == byte.asciiValue else { throw GoldenError.malformed("byte \(place)") }
    place += 1
  }

  private mutating func value() throws -> JSON {
    switch Character(UnicodeScalar(next())) {
    case "{":
      var members: [String: JSON] = [:]
      try list(until: "}") { parser in
        guard parser.next() != 0 else { throw GoldenError.malformed("byte \(parser.place)") }
        let key = try parser.string()
        try parser.take(":")
        members[key] = try parser.value()
      }
      return .object(members)
    case "[":
      var elements: [JSON] = []
      try list(until: "]") { parser in elements.append(try parser.value()) }
      return .array(elements)
    case "\"": return .string(try string())
    case "t": return word("true", .bool(true))
    case "f": return word("false", .bool(false))
    case "n": return word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ word: String, _ value: JSON) -> JSON {
    place += word.utf8.count
    return value
  }

  private mutating func list(until end: Character, _ element: (inout GoldenParser) throws -> Void) throws {
    place += 1
    guard next() != end.asciiValue else {
      place += 1
      return
    }
    try element(&self)
    while next() != end.asciiValue {
      try take(",")
      try element(&self)
    }
    place += 1
  }

  private mutating func number() throws -> JSON {
    let start = place
    while "+-.eE0123456789".utf8.contains(bytes[place]) { place += 1 }
    guard let value = Double(String(decoding: bytes[start..<place], as: UTF8.self)) else {
      throw GoldenError.malformed("byte \(start)")
    }
    return Int(exactly: value).map(JSON.integer) ?? .number(value)
  }

  /// Strings with escapes are rare: those go to Foundation.
  private mutating func string() throws -> String {
    let start = place
    var escaped = false
    place += 1
    while bytes[place] != UInt8(ascii: "\"") {
      guard bytes[place] != 0 else { throw GoldenError.malformed("byte \(start)") }
      if bytes[place] == UInt8(ascii: "\\") {
        escaped = true
        place += 1
      }
      place += 1
    }
    place += 1
    guard escaped else { return String(decoding: bytes[start + 1..<place - 1], as: UTF8.self) }
    return try JSONDecoder().decode(String.self, from: Data(bytes[start..<place]))
  }
}
