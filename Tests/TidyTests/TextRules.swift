/// Things that must not stand in a file.
enum TextRules {
  /// Folders of Common whose code decides and never acts.
  private static let pureFolders: Set<String> = ["Domain", "Scoring", "Wire"]

  /// What pure code must not call: files, clocks, chance, the network, the process.
  private static var impure: [(pattern: Regex<Substring>, what: String)] {
    [
      (#/\bFileManager\b/#.wordBoundaryKind(.simple), "files"),
      (#/\bFileHandle\b/#.wordBoundaryKind(.simple), "files"),
      (#/\bcontentsOf:/#.wordBoundaryKind(.simple), "files"),
      (#/\bDate\(\)/#.wordBoundaryKind(.simple), "the clock"),
      (#/\bDate\.now\b/#.wordBoundaryKind(.simple), "the clock"),
      (#/\bclock_gettime\b/#.wordBoundaryKind(.simple), "the clock"),
      (#/\b(?:Continuous|Suspending)Clock\b/#.wordBoundaryKind(.simple), "the clock"),
      (#/\b(?:Monotonic|WallClock)\.now/#.wordBoundaryKind(.simple), "the clock"),
      (#/\barc4random\w*/#.wordBoundaryKind(.simple), "chance"),
      (#/\bSystemRandomNumberGenerator\b/#.wordBoundaryKind(.simple), "chance"),
      (#/\bUUID\(\)/#.wordBoundaryKind(.simple), "chance"),
      (#/\.(?:random|randomElement|shuffled|shuffle)\((?!.*\busing:)/#.wordBoundaryKind(.simple), "chance"),
      (#/\bURLSession\b/#.wordBoundaryKind(.simple), "the network"),
      (#/\bProcessInfo\b/#.wordBoundaryKind(.simple), "the process"),
      (#/\bgetenv\b/#.wordBoundaryKind(.simple), "the process"),
      (#/\bprint\(/#.wordBoundaryKind(.simple), "the terminal"),
      (#/\bTask\s*(?:\.detached\s*)?\{/#.wordBoundaryKind(.simple), "tasks"),
    ]
  }

  static func purity(_ file: SourceFile) -> [Finding] {
    let parts = file.parts
    guard parts.count > 3, parts[0...1] == ["Sources", "Common"], pureFolders.contains(parts[2]) else {
      return []
    }
    let imports = file.imports.filter { $0.module != "Foundation" }.map {
      Finding(path: file.path, line: $0.line, message: "pure code must not import \($0.module)")
    }
    let calls = file.code.enumerated().flatMap { index, line in
      impure.filter { line.contains($0.pattern) }.map {
        Finding(path: file.path, line: index + 1, message: "pure code must not ask for \($0.what)")
      }
    }
    return imports + calls
  }

  /// `try!`, and errors that say that something is not written yet.
  static func shortcuts(_ file: SourceFile) -> [Finding] {
    let forced = file.code.enumerated().filter { $0.element.contains(#/\btry!/#.wordBoundaryKind(.simple)) }
      .map {
        Finding(path: file.path, line: $0.offset + 1, message: "try! hides an error: handle it")
      }
    let unfinished = file.lines.enumerated().filter {
      $0.element.contains(#/^\s*(?:\w+\s+)*fatalError\("(?i:todo|unimpl|not impl)/#)
    }.map { Finding(path: file.path, line: $0.offset + 1, message: "not written yet") }
    return forced + unfinished
  }

  /// Notes to oneself. In Swift only comments count, elsewhere every line.
  static func notes(path: String, comments: [String]) -> [Finding] {
    comments.enumerated().compactMap { index, line in
      guard let match = line.firstMatch(of: #/\b(?:TODO|FIXME|XXX|HACK)\b/#.wordBoundaryKind(.simple)) else {
        return nil
      }
      return Finding(path: path, line: index + 1, message: "\(match.output): do it or leave it out")
    }
  }

  /// A promise to the compiler needs its argument: a comment directly above that names the promise.
  static func promises(_ file: SourceFile) -> [Finding] {
    let promises = [
      (#/@unchecked\s+Sendable\b/#.wordBoundaryKind(.simple), "@unchecked Sendable"),
      (#/\bnonisolated\(unsafe\)/#.wordBoundaryKind(.simple), "nonisolated(unsafe)"),
    ]
    return file.code.enumerated().flatMap { index, line in
      promises.filter { line.contains($0.0) && !commentAbove(file, line: index).contains($0.1) }.map {
        Finding(
          path: file.path, line: index + 1,
          message: "\($0.1) needs a comment directly above that names it and says why it holds")
      }
    }
  }

  /// The comment that ends on the line above a declaration; attributes may stand between.
  private static func commentAbove(_ file: SourceFile, line: Int) -> String {
    var text: [String] = []
    for index in (0..<line).reversed() {
      let isComment = !file.comments[index].allSatisfy(\.isWhitespace)
      let isAttribute = text.isEmpty && file.code[index].contains(#/^\s*@\w+(?:\(.*\))?\s*$/#)
      guard isComment || isAttribute else { break }
      text.append(file.comments[index])
    }
    return text.reversed().joined(separator: "\n")
  }

  /// Absolute paths that exist only where somebody works on this project.
  static func machinePaths(path: String, lines: [String]) -> [Finding] {
    lines.enumerated().compactMap { index, line in
      guard let match = line.firstMatch(of: #/(?:^|[^A-Za-z0-9_.\-])(/(?:home|work|farm|Users|root)/)/#)
      else {
        return nil
      }
      return Finding(path: path, line: index + 1, message: "\(match.1)… is a path of one machine")
    }
  }
}
