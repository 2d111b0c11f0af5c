import Foundation

/// A strict reader of JSON (RFC 8259) over bytes, for the few places where a full parser would cost more
/// than the work itself. It validates everything that it passes, the UTF-8 in strings included, builds no
/// values, and never reads beyond the bytes.
///
/// Strict means: no `NaN`, no lone surrogates, no control characters in strings, nothing after the value, and no
/// number that a reader of doubles would take for infinite.
struct JSONScanner {
  /// The bytes are not JSON, or nested deeper than ``depthMax``.
  struct Malformed: Error {}

  /// A string's place in the bytes, quotes left out.
  struct Text: Equatable {
    var start: Int
    var end: Int
    var hasEscapes: Bool
  }

  /// Most objects and arrays inside each other.
  static let depthMax = 32

  private let base: UnsafePointer<UInt8>
  private let count: Int
  /// The next byte to read.
  private(set) var position = 0

  /// Reads `bytes`, which must outlive the scanner and not be empty.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
    base = start.assumingMemoryBound(to: UInt8.self)
    count = bytes.count
  }

  // MARK: structure

  /// The first byte of the next token.
  @inline(__always)
  mutating func peek() throws(Malformed) -> UInt8 {
    // Most tokens follow each other directly.
    if position < count, base[position] > 0x20 { return base[position] }
    return try peekBeyondSpace()
  }

  private mutating func peekBeyondSpace() throws(Malformed) -> UInt8 {
    while position < count {
      let byte = base[position]
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
      position += 1
    }
    throw Malformed()
  }

  /// Enters an object or array, whose closing bracket is given.
  /// - Returns: whether it has a first item.
  mutating func enter(closing: UInt8) throws(Malformed) -> Bool {
    position += 1
    guard try peek() == closing else { return true }
    position += 1
    return false
  }

  /// Passes the comma or the closing bracket after an item.
  /// - Returns: whether another item follows.
  mutating func nextItem(closing: UInt8) throws(Malformed) -> Bool {
    let byte = try peek()
    guard byte == UInt8(ascii: ",") || byte == closing else { throw Malformed() }
    position += 1
    return byte != closing
  }

  /// Reads a member's key and its colon.
  mutating func key() throws(Malformed) -> Text {
    guard try peek() == UInt8(ascii: "\"") else { throw Malformed() }
    let key = try string()
    guard try peek() == UInt8(ascii: ":") else { throw Malformed() }
    position += 1
    return key
  }

  /// Passes one value of any kind, at `depth` containers below the top.
  mutating func skip(depth: Int) throws(Malformed) {
    switch try peek() {
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "{"):
      guard depth < Self.depthMax else { throw Malformed() }
      var more = try enter(closing: UInt8(ascii: "}"))
      while more {
        _ = try key()
        try skip(depth: depth + 1)
        more = try nextItem(closing: UInt8(ascii: "}"))
      }
    case UInt8(ascii: "["):
      guard depth < Self.depthMax else { throw Malformed() }
      var more = try enter(closing: UInt8(ascii: "]"))
      while more {
        try skip(depth: depth + 1)
        more = try nextItem(closing: UInt8(ascii: "]"))
      }
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    default: try number()
    }
  }

  /// Passes what may follow the whole value: white space.
  mutating func end() throws(Malformed) {
    guard position < count else { return }
    if (try? peek()) != nil { throw Malformed() }
  }

  // MARK: scalars

  /// Passes `null` if it is next.
  mutating func skipNull() throws(Malformed) -> Bool {
    guard try peek() == UInt8(ascii: "n") else { return false }
    try literal("null")
    return true
  }

  private mutating func literal(_ word: StaticString) throws(Malformed) {
    let length = word.utf8CodeUnitCount
    guard count - position >= length, memcmp(base + position, word.utf8Start, length) == 0 else {
      throw Malformed()
    }
    position += length
  }

  /// Most digits before the point, and of an exponent that makes large: together they stay below 1e308.
  private static let digitsMax = 200
  private static let exponentDigitsMax = 2

  private mutating func number() throws(Malformed) {
    if byte(at: position) == UInt8(ascii: "-") { position += 1 }
    let whole = position
    if byte(at: position) == UInt8(ascii: "0") { position += 1 } else { try digits() }
    guard position - whole <= Self.digitsMax else { throw Malformed() }
    if byte(at: position) == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if byte(at: position) | 0x20 == UInt8(ascii: "e") {
      position += 1
      let sign = byte(at: position)
      if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      let exponent = position
      try digits()
      guard sign == UInt8(ascii: "-") || position - exponent <= Self.exponentDigitsMax else {
        throw Malformed()
      }
    }
  }

  private mutating func digits() throws(Malformed) {
    let start = position
    while byte(at: position) &- 0x30 < 10 { position += 1 }
    guard position > start else { throw Malformed() }
  }

  /// The byte at an index; 0, which is no part of any token, behind the end.
  private func byte(at index: Int) -> UInt8 { index < count ? base[index] : 0 }

  /// Passes a string; the next byte is its opening quote.
  mutating func string() throws(Malformed) -> Text {
    position += 1
    let start = position
    var hasEscapes = false
    while position < count {
      position = endOfPlainRun(from: position)
      guard position < count else { throw Malformed() }
      let byte = base[position]
      if byte == UInt8(ascii: "\"") {
        position += 1
        return Text(start: start, end: position - 1, hasEscapes: hasEscapes)
      }
      if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        position += 1
        try skipEscape()
      } else {
        guard byte >= 0x80 else { throw Malformed() }
        try skipMultibyte(byte)
      }
    }
    throw Malformed()
  }

  /// Where a string has something else than plain ASCII: a quote, a backslash, a control character, a byte of a longer
  /// character; or the end of all bytes. Eight at a time, since pictures are millions of them.
  private func endOfPlainRun(from start: Int) -> Int {
    var at = start
    while at + 8 <= count {
      let word = UInt64(littleEndian: UnsafeRawPointer(base + at).loadUnaligned(as: UInt64.self))
      let special = JSONScanner.special(in: word)
      guard special == 0 else { return at + special.trailingZeroBitCount / 8 }
      at += 8
    }
    while at < count, base[at] &- 0x20 < 0x60, base[at] != UInt8(ascii: "\""), base[at] != UInt8(ascii: "\\")
    {
      at += 1
    }
    return at
  }

  /// The high bit of each byte that is no plain character of a string. A borrow makes the bits above the lowest one
  /// mean nothing (S. E. Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n").
  private static func special(in word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
    let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
    let control = (word &- ones &* 0x20) & ~word
    let found = control | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | word
    return found & (ones &* 0x80)
  }

  /// Passes what follows a backslash; a high surrogate must be followed by a low one.
  private mutating func skipEscape() throws(Malformed) {
    let kind = byte(at: position)
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return
    case UInt8(ascii: "u"):
      guard let unit = hexUnit(at: position) else { throw Malformed() }
      position += 4
      guard unit & 0xf800 == 0xd800 else { return }
      guard unit < 0xdc00, byte(at: position) == UInt8(ascii: "\\"),
        byte(at: position + 1) == UInt8(ascii: "u"),
        let low = hexUnit(at: position + 2), low & 0xfc00 == 0xdc00
      else { throw Malformed() }
      position += 6
    default: throw Malformed()
    }
  }

  /// The value of four hexadecimal digits.
  private func hexUnit(at index: Int) -> UInt32? {
    guard count - index >= 4 else { return nil }
    var unit: UInt32 = 0
    for offset in 0..<4 {
      let byte = base[index + offset]
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - 0x30
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - 0x57
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - 0x37
      default: return nil
      }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  /// Passes one well-formed UTF-8 sequence of two to four bytes (Unicode, table 3-7).
  private mutating func skipMultibyte(_ lead: UInt8) throws(Malformed) {
    let second = byte(at: position + 1)
    let length: Int
    let secondRange: ClosedRange<UInt8>
    switch lead {
    case 0xc2...0xdf: (length, secondRange) = (2, 0x80...0xbf)
    case 0xe0: (length, secondRange) = (3, 0xa0...0xbf)
    case 0xed: (length, secondRange) = (3, 0x80...0x9f)
    case 0xe1...0xef: (length, secondRange) = (3, 0x80...0xbf)
    case 0xf0: (length, secondRange) = (4, 0x90...0xbf)
    case 0xf1...0xf3: (length, secondRange) = (4, 0x80...0xbf)
    case 0xf4: (length, secondRange) = (4, 0x80...0x8f)
    default: throw Malformed()
    }
    guard secondRange.contains(second) else { throw Malformed() }
    for offset in 2..<max(2, length) where byte(at: position + offset) & 0xc0 != 0x80 { throw Malformed() }
    position += length
  }
}

// MARK: what a string says

extension JSONScanner {
  /// Appends the string's characters as UTF-8, escapes resolved.
  func append(_ text: Text, to output: inout [UInt8]) {
    guard text.hasEscapes else {
      output.append(contentsOf: UnsafeBufferPointer(start: base + text.start, count: text.end - text.start))
      return
    }
    var index = text.start
    while index < text.end {
      guard base[index] == UInt8(ascii: "\\") else {
        output.append(base[index])
        index += 1
        continue
      }
      let kind = base[index + 1]
      index += 2
      switch kind {
      case UInt8(ascii: "b"): output.append(0x08)
      case UInt8(ascii: "f"): output.append(0x0c)
      case UInt8(ascii: "n"): output.append(0x0a)
      case UInt8(ascii: "r"): output.append(0x0d)
      case UInt8(ascii: "t"): output.append(0x09)
      case UInt8(ascii: "u"): appendUnicode(at: &index, to: &output)
      default: output.append(kind)
      }
    }
  }

  /// Appends the character of a `\u` escape, or of a pair of them. The string was validated before.
  private func appendUnicode(at index: inout Int, to output: inout [UInt8]) {
    var value = hexUnit(at: index) ?? 0xfffd
    index += 4
    if value & 0xfc00 == 0xd800 {
      value = 0x10000 + (value & 0x3ff) << 10 + ((hexUnit(at: index + 2) ?? 0xdc00) & 0x3ff)
      index += 6
    }
    let scalar = Unicode.Scalar(value) ?? "\u{fffd}"
    output.append(contentsOf: UTF8.encode(scalar)!)
  }

  /// Whether the string's characters are those of `name`.
  @inline(__always)
  func equals(_ text: Text, _ name: StaticString) -> Bool {
    let length = name.utf8CodeUnitCount
    guard text.hasEscapes else {
      return text.end - text.start == length && memcmp(base + text.start, name.utf8Start, length) == 0
    }
    return equalsResolved(text, name)
  }

  private func equalsResolved(_ text: Text, _ name: StaticString) -> Bool {
    let length = name.utf8CodeUnitCount
    var resolved: [UInt8] = []
    append(text, to: &resolved)
    return resolved.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: length))
  }
}
