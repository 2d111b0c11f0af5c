/// Walks through Swift once and sorts every byte into code or comment, and literals apart. It knows
/// comments (nested ones too), plain, raw and multi-line string literals, and interpolations.
struct SourceScanner {
  private let input: [UInt8]
  private var position = 0
  private var line = 1
  private var codeBytes: [UInt8] = []
  private var commentBytes: [UInt8] = []
  private(set) var literals: [(line: Int, text: String)] = []

  /// The text with comments and the contents of literals blanked out.
  var code: String { String(decoding: codeBytes, as: UTF8.self) }
  /// The text with all but the comments blanked out.
  var comments: String { String(decoding: commentBytes, as: UTF8.self) }

  init(_ text: String) {
    input = Array(text.utf8)
    codeBytes.reserveCapacity(input.count)
    commentBytes.reserveCapacity(input.count)
  }

  mutating func scan() { scanCode(untilParenthesis: false) }

  private static let newline = UInt8(ascii: "\n")
  private static let space = UInt8(ascii: " ")
  private static let slash = UInt8(ascii: "/")
  private static let star = UInt8(ascii: "*")
  private static let pound = UInt8(ascii: "#")
  private static let quote = UInt8(ascii: "\"")
  private static let backslash = UInt8(ascii: "\\")

  private func at(_ offset: Int) -> UInt8 {
    position + offset < input.count ? input[position + offset] : 0
  }

  private var isAtEnd: Bool { position >= input.count }

  /// Takes one byte as code, as comment, or as neither; the line structure stays everywhere.
  private mutating func take(code isCode: Bool = false, comment isComment: Bool = false) {
    guard !isAtEnd else { return }
    let byte = input[position]
    let blank = byte == Self.newline ? Self.newline : Self.space
    codeBytes.append(isCode ? byte : blank)
    commentBytes.append(isComment ? byte : blank)
    if byte == Self.newline { line += 1 }
    position += 1
  }

  /// Scans code to its end, or to the parenthesis that ends an interpolation.
  private mutating func scanCode(untilParenthesis: Bool) {
    var depth = 0
    while !isAtEnd {
      switch at(0) {
      case Self.slash where at(1) == Self.slash:
        while !isAtEnd, at(0) != Self.newline { take(comment: true) }
      case Self.slash where at(1) == Self.star: scanBlockComment()
      case Self.quote: scanLiteral(pounds: 0)
      case Self.pound:
        var pounds = 1
        while at(pounds) == Self.pound { pounds += 1 }
        if at(pounds) == Self.quote { scanLiteral(pounds: pounds) } else { take(code: true) }
      case UInt8(ascii: "("):
        depth += 1
        take(code: true)
      case UInt8(ascii: ")"):
        if untilParenthesis, depth == 0 { return }
        depth -= 1
        take(code: true)
      default: take(code: true)
      }
    }
  }

  private mutating func scanBlockComment() {
    var depth = 0
    repeat {
      if at(0) == Self.slash, at(1) == Self.star {
        depth += 1
        take(comment: true)
      } else if at(0) == Self.star, at(1) == Self.slash {
        depth -= 1
        take(comment: true)
      }
      take(comment: true)
    } while depth > 0 && !isAtEnd
  }

  /// Whether `pounds` hashes stand at `offset`.
  private func hasPounds(_ pounds: Int, at offset: Int) -> Bool {
    (0..<pounds).allSatisfy { at(offset + $0) == Self.pound }
  }

  private mutating func scanLiteral(pounds: Int) {
    let firstLine = line
    for _ in 0..<pounds { take(code: true) }
    let quotes = at(1) == Self.quote && at(2) == Self.quote ? 3 : 1
    for _ in 0..<quotes { take(code: true) }
    var text: [UInt8] = []
    while !isAtEnd {
      let byte = at(0)
      if byte == Self.quote, quotes == 1 || (at(1) == Self.quote && at(2) == Self.quote),
        hasPounds(pounds, at: quotes)
      {
        break
      }
      if byte == Self.newline, quotes == 1 { break }
      if byte == Self.backslash, hasPounds(pounds, at: 1) {
        if at(1 + pounds) == UInt8(ascii: "(") {
          for _ in 0..<(pounds + 2) { take() }
          scanCode(untilParenthesis: true)
          take()
          continue
        }
        for _ in 0..<(pounds + 1) {
          text.append(at(0))
          take()
        }
      }
      text.append(at(0))
      take()
    }
    literals.append((firstLine, String(decoding: text, as: UTF8.self)))
    for _ in 0..<(quotes + pounds) where at(0) != Self.newline { take(code: true) }
  }
}
