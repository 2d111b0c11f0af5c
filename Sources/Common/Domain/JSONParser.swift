/// Reads a whole JSON text (RFC 8259) into a ``JSON`` value. `JSONDecoder` must guess the kind of every
/// value and pays for each wrong guess with an error: for an answer of 500 tokens this takes an eighth.
struct JSONParser {
  /// What is wrong, and where.
  struct Malformed: Error {
    var problem: String
    /// The byte at which it was noticed, from 0.
    var offset: Int
  }

  /// Most objects and arrays inside each other.
  static let depthMax = 128

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0
  /// Where members are noted in the order of the text; nil when nobody asked.
  private var order: JSON.KeyOrder?
  private var path: [String] = []

  /// The value that `bytes` spell, with nothing but white space around it.
  static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(Malformed) -> JSON {
    var order: JSON.KeyOrder?
    return try parse(bytes, noting: &order)
  }

  /// As the other form; when `order` is not nil it notes in which order members stand.
  static func parse(
    _ bytes: UnsafeBufferPointer<UInt8>, noting order: inout JSON.KeyOrder?
  ) throws(Malformed) -> JSON {
    var parser = JSONParser(bytes: bytes)
    parser.order = order
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.malformed("more than one value") }
    order = parser.order
    return value
  }

  private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private func malformed(_ problem: String) -> Malformed { Malformed(problem: problem, offset: position) }

  /// The next byte; 0, which begins no token, behind the end.
  private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func skipSpace() {
    while position < bytes.count {
      let byte = bytes[position]
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
      position += 1
    }
  }

  private mutating func value(depth: Int) throws(Malformed) -> JSON {
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth + 1)
    case UInt8(ascii: "["): return try array(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return try number()
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSON) throws(Malformed) -> JSON {
    for offset in 0..<word.utf8CodeUnitCount {
      guard next == word.utf8Start[offset] else { throw malformed("not a value") }
      position += 1
    }
    return value
  }

  // MARK: containers

  private mutating func object(depth: Int) throws(Malformed) -> JSON {
    var members: [String: JSON] = [:]
    var more = try enter(closing: UInt8(ascii: "}"), depth: depth)
    while more {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw malformed("no key") }
      let key = try string()
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw malformed("no colon") }
      position += 1
      if order != nil {
        order?.note(key, in: path)
        path.append(key)
      }
      let value = try value(depth: depth)
      if order != nil { path.removeLast() }
      // Of equal keys the first one counts, as in JSONDecoder.
      if members[key] == nil { members[key] = value }
      more = try passesComma(closing: UInt8(ascii: "}"))
    }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(Malformed) -> JSON {
    var elements: [JSON] = []
    var more = try enter(closing: UInt8(ascii: "]"), depth: depth)
    while more {
      if order != nil { path.append(String(elements.count)) }
      elements.append(try value(depth: depth))
      if order != nil { path.removeLast() }
      more = try passesComma(closing: UInt8(ascii: "]"))
    }
    return .array(elements)
  }

  /// Passes the opening bracket; true if anything is between it and the closing one.
  private mutating func enter(closing: UInt8, depth: Int) throws(Malformed) -> Bool {
    guard depth <= Self.depthMax else { throw malformed("nested too deeply") }
    position += 1
    skipSpace()
    guard next == closing else { return true }
    position += 1
    return false
  }

  /// Passes the comma or the closing bracket after an item; true if another item must follow.
  private mutating func passesComma(closing: UInt8) throws(Malformed) -> Bool {
    skipSpace()
    let byte = next
    guard byte == UInt8(ascii: ",") || byte == closing else { throw malformed("neither comma nor end") }
    position += 1
    return byte != closing
  }

  // MARK: numbers

  private mutating func number() throws(Malformed) -> JSON {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    if next == UInt8(ascii: "0") { position += 1 } else { try digits() }
    var isWhole = true
    if next == UInt8(ascii: ".") {
      isWhole = false
      position += 1
      try digits()
    }
    if next | 0x20 == UInt8(ascii: "e") {
      isWhole = false
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    if isWhole, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw malformed("a number out of range") }
    // `1.0` and `1e3` are integers too, whoever wrote them.
    return Int(exactly: value).map(JSON.integer) ?? .number(value)
  }

  private mutating func digits() throws(Malformed) {
    let start = position
    while next &- 0x30 < 10 { position += 1 }
    guard position > start else { throw malformed("not a value") }
  }

  // MARK: strings

  private mutating func string() throws(Malformed) -> String {
    position += 1
    let start = position
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      guard bytes[position] != UInt8(ascii: "\\") else { return try escapedString(from: start) }
      guard bytes[position] >= 0x20 else { throw malformed("a control character") }
      position += 1
    }
    guard position < bytes.count else { throw malformed("an open string") }
    let text = String(validating: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    guard let text else { throw malformed("not UTF-8") }
    position += 1
    return text
  }

  /// The string that begins at `start` and has its first escape at the current position.
  private mutating func escapedString(from start: Int) throws(Malformed) -> String {
    var resolved = Array(bytes[start..<position])
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      let byte = bytes[position]
      guard byte >= 0x20 else { throw malformed("a control character") }
      position += 1
      if byte == UInt8(ascii: "\\") { try escape(into: &resolved) } else { resolved.append(byte) }
    }
    guard position < bytes.count else { throw malformed("an open string") }
    guard let text = String(validating: resolved, as: UTF8.self) else { throw malformed("not UTF-8") }
    position += 1
    return text
  }

  private mutating func escape(into resolved: inout [UInt8]) throws(Malformed) {
    let kind = next
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): resolved.append(kind)
    case UInt8(ascii: "b"): resolved.append(0x08)
    case UInt8(ascii: "f"): resolved.append(0x0c)
    case UInt8(ascii: "n"): resolved.append(0x0a)
    case UInt8(ascii: "r"): resolved.append(0x0d)
    case UInt8(ascii: "t"): resolved.append(0x09)
    case UInt8(ascii: "u"): resolved.append(contentsOf: Array(String(try scalar()).utf8))
    default: throw malformed("an unknown escape")
    }
  }

  /// The character of a `\u` escape, or of two that form a surrogate pair.
  private mutating func scalar() throws(Malformed) -> Character {
    var value = try hexUnit()
    if value & 0xfc00 == 0xd800 {
      guard next == UInt8(ascii: "\\") else { throw malformed("half a surrogate pair") }
      position += 1
      guard next == UInt8(ascii: "u") else { throw malformed("half a surrogate pair") }
      position += 1
      let low = try hexUnit()
      guard low & 0xfc00 == 0xdc00 else { throw malformed("half a surrogate pair") }
      value = 0x10000 + (value & 0x3ff) << 10 + (low & 0x3ff)
    }
    guard let scalar = Unicode.Scalar(value) else { throw malformed("half a surrogate pair") }
    return Character(scalar)
  }

  private mutating func hexUnit() throws(Malformed) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(next)).hexDigitValue, next < 0x80 else {
        throw malformed("not four hexadecimal digits")
      }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }
}
