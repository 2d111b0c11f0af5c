/// Things that must not stand in a file.
enum TextRules {
  /// Folders of Common whose code decides and never acts.
  private static let pureFolders: Set<String> = ["Domain", "Scoring", "Wire"]

  /// What pure code must not ask for: a word that is quick to look for, and the pattern that makes sure.
  private static var impure: [(word: StaticString, pattern: Regex<Substring>, what: String)] {
    [
      ("FileManager", #/\bFileManager\b/#, "files"), ("FileHandle", #/\bFileHandle\b/#, "files"),
      ("contentsOf", #/\b(?:Data|String|URL)\(contentsOf/#, "files"),
      ("Date()", #/\bDate\(\)/#, "the clock"), ("Date.now", #/\bDate\.now\b/#, "the clock"),
      ("clock_gettime", #/\bclock_gettime\b/#, "the clock"),
      ("Clock", #/\b(?:Continuous|Suspending)Clock\b|\bWallClock\.now/#, "the clock"),
      ("Monotonic", #/\bMonotonic\.now/#, "the clock"), ("arc4random", #/\barc4random/#, "chance"),
      ("SystemRandom", #/\bSystemRandomNumberGenerator\b/#, "chance"), ("UUID()", #/\bUUID\(\)/#, "chance"),
      (".random", #/\.random(?:Element)?\((?!.*\busing:)/#, "chance"),
      (".shuffle", #/\.shuffled?\((?!.*\busing:)/#, "chance"),
      ("URLSession", #/\bURLSession\b/#, "the network"), ("ProcessInfo", #/\bProcessInfo\b/#, "the process"),
      ("getenv", #/\bgetenv\b/#, "the process"), ("print(", #/\bprint\(/#, "the terminal"),
      ("Task", #/\bTask\s*(?:\.detached\s*)?\{/#, "tasks"),
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
    let impure = impure
    let calls = file.code.enumerated().flatMap { index, line in
      impure.filter { line.has($0.word) && line.contains($0.pattern.wordBoundaryKind(.simple)) }.map {
        Finding(path: file.path, line: index + 1, message: "pure code must not ask for \($0.what)")
      }
    }
    return imports + calls
  }

  /// `try!`, and errors that say that something is not written yet.
  static func shortcuts(_ file: SourceFile) -> [Finding] {
    let forced = file.code.enumerated().filter {
      $0.element.has("try!") && $0.element.contains(#/\btry!/#.wordBoundaryKind(.simple))
    }
    .map {
      Finding(path: file.path, line: $0.offset + 1, message: "try! hides an error: handle it")
    }
    let unfinished = file.lines.enumerated().filter {
      $0.element.has("fatalError(")
        && $0.element.contains(#/^\s*(?:\w+\s+)*fatalError\("(?i:todo|unimpl|not impl)/#)
    }.map { Finding(path: file.path, line: $0.offset + 1, message: "not written yet") }
    return forced + unfinished
  }

  /// Notes to oneself. In Swift only comments count, elsewhere every line.
  private static let noteWords: [StaticString] = ["TODO", "FIXME", "XXX", "HACK"]

  static func notes(path: String, comments: [String]) -> [Finding] {
    comments.enumerated().compactMap { index, line in
      guard noteWords.contains(where: line.has),
        let match = line.firstMatch(of: #/\b(?:TODO|FIXME|XXX|HACK)\b/#.wordBoundaryKind(.simple))
      else {
        return nil
      }
      return Finding(path: path, line: index + 1, message: "\(match.output): do it or leave it out")
    }
  }

  /// A promise to the compiler needs its argument directly above: a comment made for it, or a documentation
  /// comment that names it, since one that does not is about something else.
  static func promises(_ file: SourceFile) -> [Finding] {
    let promises = [
      (#/@unchecked\s+Sendable\b/#.wordBoundaryKind(.simple), "@unchecked Sendable"),
      (#/\bnonisolated\(unsafe\)/#.wordBoundaryKind(.simple), "nonisolated(unsafe)"),
    ]
    return file.code.enumerated().flatMap { index, line in
      promises.filter {
        (line.has("@unchecked") || line.has("(unsafe)")) && line.contains($0.0)
          && !argues(commentAbove(file, line: index), for: $0.1)
      }.map {
        Finding(
          path: file.path, line: index + 1,
          message: "\($0.1) needs a comment directly above that says why it holds")
      }
    }
  }

  private static func argues(_ comment: String, for promise: String) -> Bool {
    comment.contains("///") ? comment.contains(promise) : !comment.isEmpty
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
  private static let pathWords: [StaticString] = ["/home/", "/work/", "/farm/", "/Users/", "/root/"]

  static func machinePaths(path: String, lines: [String]) -> [Finding] {
    lines.enumerated().compactMap { index, line in
      guard pathWords.contains(where: line.has),
        let match = line.firstMatch(of: #/(?:^|[^A-Za-z0-9_.\-])(/(?:home|work|farm|Users|root)/)/#)
      else {
        return nil
      }
      return Finding(path: path, line: index + 1, message: "\(match.1)… is a path of one machine")
    }
  }
}
