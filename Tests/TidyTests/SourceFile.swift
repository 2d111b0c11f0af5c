/// A Swift file taken apart far enough for the rules: what the compiler reads, what people read, and the
/// string literals, each at its line.
struct SourceFile {
  /// The path from the package's root.
  let path: String
  /// The file as it is, by line.
  let lines: [String]
  /// The lines with comments and the contents of string literals blanked out.
  let code: [String]
  /// The text of comments, by line; empty where there is none.
  let comments: [String]
  /// Each string literal's first line (from 1) and its text, interpolations left out.
  let literals: [(line: Int, text: String)]

  /// Reads `text` as Swift.
  init(path: String, text: String) {
    self.path = path
    var scanner = SourceScanner(text)
    scanner.scan()
    lines = SourceFile.split(text)
    code = SourceFile.split(scanner.code)
    comments = SourceFile.split(scanner.comments)
    literals = scanner.literals
  }

  /// The path's parts: `["Sources", "Common", "Loop", "IO.swift"]`.
  var parts: [String] { path.split(separator: "/").map(String.init) }

  /// The modules that the file imports, with their lines (from 1).
  var imports: [(line: Int, module: String)] {
    code.enumerated().compactMap { index, line in
      guard
        let match = line.firstMatch(of: #/^\s*(?:@\w+\s+|public\s+|internal\s+)*import\s+(?:\w+\s+)?(\w+)/#)
      else { return nil }
      return (index + 1, String(match.1))
    }
  }

  private static func split(_ text: String) -> [String] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    return lines
  }
}

/// Walks through Swift once and sorts every character into code or comment, and literals apart. It knows
/// comments (nested ones too), plain, raw and multi-line string literals, and interpolations.
private struct SourceScanner {
  private let input: [Character]
  private var position = 0
  private var line = 1
  private(set) var code = ""
  private(set) var comments = ""
  private(set) var literals: [(line: Int, text: String)] = []

  init(_ text: String) { input = Array(text) }

  mutating func scan() { scanCode(untilParenthesis: false) }

  private func at(_ offset: Int) -> Character? {
    position + offset < input.count ? input[position + offset] : nil
  }

  private func starts(with text: String) -> Bool {
    text.enumerated().allSatisfy { at($0.offset) == $0.element }
  }

  /// Takes one character as code, as comment, or as neither; the line structure stays everywhere.
  private mutating func take(code isCode: Bool = false, comment isComment: Bool = false) {
    let character = input[position]
    let blank: Character = character == "\n" ? "\n" : " "
    code.append(isCode ? character : blank)
    comments.append(isComment ? character : blank)
    if character == "\n" { line += 1 }
    position += 1
  }

  /// Scans code to its end, or to the parenthesis that ends an interpolation.
  private mutating func scanCode(untilParenthesis: Bool) {
    var depth = 0
    while let character = at(0) {
      if starts(with: "//") {
        while let next = at(0), next != "\n" { _ = next; take(comment: true) }
      } else if starts(with: "/*") {
        scanBlockComment()
      } else if let hashes = literalHashes() {
        scanLiteral(hashes: hashes)
      } else {
        if character == "(" { depth += 1 }
        if character == ")" {
          if untilParenthesis, depth == 0 { return }
          depth -= 1
        }
        take(code: true)
      }
    }
  }

  private mutating func scanBlockComment() {
    var depth = 0
    repeat {
      if starts(with: "/*") {
        depth += 1; take(comment: true)
      } else if starts(with: "*/") {
        depth -= 1; take(comment: true)
      }
      if at(0) != nil { take(comment: true) }
    } while depth > 0 && at(0) != nil
  }

  /// The number of `#` before the quote if a literal starts here.
  private func literalHashes() -> Int? {
    var hashes = 0
    while at(hashes) == "#" { hashes += 1 }
    return at(hashes) == "\"" ? hashes : nil
  }

  private mutating func scanLiteral(hashes: Int) {
    let firstLine = line
    let pounds = String(repeating: "#", count: hashes)
    for _ in 0..<hashes { take(code: true) }
    let quote = starts(with: "\"\"\"") ? "\"\"\"" : "\""
    for _ in quote { take(code: true) }
    var text = ""
    while let character = at(0), !starts(with: quote + pounds) {
      if starts(with: "\\" + pounds + "(") {
        for _ in 0..<(hashes + 2) { take() }
        scanCode(untilParenthesis: true)
        if at(0) != nil { take() }
      } else if starts(with: "\\" + pounds) {
        for _ in 0..<(hashes + 2) where at(0) != nil { text.append(input[position]); take() }
      } else {
        if character == "\n", quote.count == 1 { break }
        text.append(character)
        take()
      }
    }
    literals.append((firstLine, text))
    for _ in 0..<(quote.count + hashes) where at(0) != nil && at(0) != "\n" { take(code: true) }
  }
}
