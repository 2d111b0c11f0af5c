/// Where things must stand: Swift in a target, Redis keys in one place, Lua with its contract.
enum LayoutRules {
  static func deadFiles(_ files: [SourceFile], package: [String]) -> [Finding] {
    let description = package.joined(separator: "\n")
    return files.compactMap { file in
      let parts = file.parts
      if description.contains("path: \"\(parts[0])\"") { return nil }
      guard parts.count > 2, ["Sources", "Tests"].contains(parts[0]) else {
        return parts == ["Package.swift"]
          ? nil : Finding(path: file.path, line: 1, message: "no target builds this file")
      }
      // A target is named by itself, by its path, or by the module that it tests.
      var names = ["\"\(parts[1])\"", "\(parts[0])/\(parts[1])\""]
      if parts[1].hasSuffix("Tests") { names.append("\"\(parts[1].dropLast(5))\"") }
      if names.contains(where: description.contains) { return nil }
      return Finding(path: file.path, line: 1, message: "Package.swift names no target \(parts[1])")
    }
  }

  /// Keys are spelled once, so that a rename or a second reader cannot miss one.
  static func redisKeys(_ file: SourceFile) -> [Finding] {
    guard file.path.hasPrefix("Sources/"), !file.path.contains(#/^Sources/Common/Wire/Keys[^/]*\.swift$/#)
    else { return [] }
    return file.literals.filter { $0.text.hasPrefix("vision:") }.map {
      Finding(path: file.path, line: $0.line, message: "a Redis key: spell it in Common/Wire/Keys.swift")
    }
  }

  /// The words that a script's header must hold, each followed by its text.
  private static let headerWords = ["Guarantee:", "KEYS", "ARGS", "RETURNS"]

  static func luaHeader(path: String, lines: [String]) -> [Finding] {
    guard !path.hasSuffix("/prelude.lua") else { return [] }
    let header = lines.prefix { $0.hasPrefix("--") }.joined(separator: "\n")
    return headerWords.filter { !header.contains($0) }.map {
      Finding(path: path, line: 1, message: "the comment that opens the script lacks \($0)")
    }
  }

  static func luaKeys(path: String, lines: [String]) -> [Finding] {
    lines.enumerated().filter { $0.element.contains(#/["']vision:/#) }.map {
      Finding(path: path, line: $0.offset + 1, message: "a Redis key: pass it in KEYS")
    }
  }

  /// Scripts that are not embedded, and embedded names without a script.
  static func luaEmbedding(scripts: [String], package: [String]) -> [Finding] {
    let text = package.joined(separator: "\n")
    guard let list = text.firstMatch(of: #/let scripts[^=]*=\s*\[([^\]]*)\]/#) else {
      return [Finding(path: "Package.swift", line: 1, message: "no list of scripts")]
    }
    let listed = Set(list.1.matches(of: #/"(\w+)"/#).map { String($0.1) })
    let present = Set(
      scripts.compactMap { path in path.firstMatch(of: #/(\w+)\.lua$/#).map { String($0.1) } })
    let line = text[..<list.range.lowerBound].filter { $0 == "\n" }.count + 1
    return present.symmetricDifference(listed).sorted().map {
      let problem = listed.contains($0) ? "is listed and does not exist" : "is not listed"
      return Finding(path: "Package.swift", line: line, message: "Queue/Scripts/\($0).lua \(problem)")
    }
  }
}
