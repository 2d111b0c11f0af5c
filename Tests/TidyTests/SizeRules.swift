/// Limits on what a reader must hold in mind at once.
enum SizeRules {
  /// Lines in a file.
  static let fileMax = 400
  /// Lines between a function's braces, these included.
  static let functionMax = 70

  static func files(_ files: [(path: String, lines: [String])]) -> [Finding] {
    files.filter { $0.lines.count > fileMax }.map {
      Finding(path: $0.path, line: fileMax + 1, message: "\($0.lines.count) lines, at most \(fileMax)")
    }
  }

  static func functions(_ file: SourceFile) -> [Finding] {
    functionBodies(file).compactMap { name, first, last in
      let count = last - first + 1
      guard count > functionMax else { return nil }
      return Finding(
        path: file.path, line: first, message: "\(name) has \(count) lines, at most \(functionMax)")
    }
  }

  /// Every function, initializer, deinitializer and subscript with its first and last line (from 1).
  static func functionBodies(_ file: SourceFile) -> [(name: String, first: Int, last: Int)] {
    let opener = #/\b(?:func\s+([^\s(<]+)|(init)[?!]?\s*[(<]|(deinit)\s*\{|(subscript)\s*[(<])/#
      .wordBoundaryKind(.simple)
    return file.code.enumerated().compactMap { index, line in
      guard line.has("func ") || line.has("init") || line.has("subscript"),
        let match = line.firstMatch(of: opener), isDeclaration(line, at: match.range.lowerBound)
      else {
        return nil
      }
      let name = [match.1, match.2, match.3, match.4].compactMap { $0 }.first ?? ""
      let column = line.distance(from: line.startIndex, to: match.range.lowerBound)
      guard let last = lastLine(file.code, line: index, column: column) else { return nil }
      return (String(name), index + 1, last + 1)
    }
  }

  /// `self.init(…)`, `.init(…)` and `= init` call; a declaration has only modifiers before it.
  private static func isDeclaration(_ line: String, at position: String.Index) -> Bool {
    line[..<position].allSatisfy { $0.isLetter || $0.isWhitespace || "@()_".contains($0) }
  }

  /// The line (from 0) that closes the body of a declaration; nil where it has none, as in a protocol.
  private static func lastLine(_ code: [String], line first: Int, column: Int) -> Int? {
    var parentheses = 0
    var braces = 0
    for index in first..<code.count {
      let text = index == first ? code[index].dropFirst(column) : code[index][...]
      if index > first, braces == 0, parentheses == 0,
        text.contains(#/^\s*(?:@\w+\s+)*(?:public|private|static|mutating|func|var|let|init|case|\})/#)
      {
        return nil
      }
      for character in text {
        switch character {
        case "(", "[": parentheses += 1
        case ")", "]": parentheses -= 1
        case "{" where parentheses == 0 || braces > 0: braces += 1
        case "}" where braces > 0:
          braces -= 1
          if braces == 0 { return index }
        case "}" where parentheses == 0: return nil
        default: break
        }
      }
    }
    return nil
  }
}
