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
      guard line.has("import "),
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
