/// Which folder may know which: imports between modules, and type names between the folders of Common,
/// which the compiler cannot tell apart.
enum DependencyRules {
  /// What each folder of Common may use besides itself.
  static let common: [String: Set<String>] = [
    "Domain": [],
    "Scoring": ["Domain"],
    "Wire": ["Domain"],
    "Loop": [],
    "Redis": ["Loop", "Domain"],
    "HTTP": ["Loop", "Domain"],
    "Queue": ["Domain", "Wire", "Redis", "Loop"],
    "Process": ["Loop", "Domain", "Redis", "Queue"],
  ]

  /// What any module may import.
  private static let everywhere: Set<String> = [
    "Foundation", "Glibc", "Dispatch", "Synchronization", "CShims",
  ]
  /// C libraries, each with the one folder that may see it.
  private static let libraries = ["CHiredis": "Redis", "CCurl": "HTTP"]
  /// Modules of ours that a module may import.
  private static let modules: [String: Set<String>] = [
    "Common": [], "Producer": ["Common"], "Workers": ["Common"], "Aggregator": ["Common"],
    "Simulator": ["Common"], "Vision": ["Common", "Aggregator"],
    "Benchmarks": ["Common", "Aggregator", "Workers"], "Chaos": ["Common"],
    "Fuzz": ["Common", "Producer", "Aggregator", "Workers"],
  ]

  static func imports(_ file: SourceFile) -> [Finding] {
    // Benchmarks, faults and fuzzer are modules outside Sources.
    let parts =
      ["Benchmarks", "Chaos", "Fuzz"].contains(file.parts[0]) ? ["Sources"] + file.parts : file.parts
    guard parts.count > 2, parts[0] == "Sources" else { return [] }
    guard var allowed = modules[parts[1]] else {
      return [Finding(path: file.path, line: 1, message: "Sources/\(parts[1]) has no rule: add it here")]
    }
    if parts[2] == "Main" { allowed.insert(parts[1]) }
    return file.imports.compactMap { line, module in
      if everywhere.contains(module) || allowed.contains(module) { return nil }
      if let folder = libraries[module], parts[1] == "Common", parts[2] == folder { return nil }
      return Finding(
        path: file.path, line: line, message: "\(parts[1])/\(parts[2]) must not import \(module)")
    }
  }

  /// Uses of a type of one folder of Common in another that may not know it.
  static func folders(_ files: [SourceFile]) -> [Finding] {
    let common = files.filter { $0.parts.count > 3 && $0.parts[0...1] == ["Sources", "Common"] }
    var owner: [String: String] = [:]
    var declared: [String: Set<String>] = [:]
    var ambiguous: Set<String> = []
    for file in common {
      let folder = file.parts[2]
      for (name, isTopLevel) in declarations(file) {
        declared[folder, default: []].insert(name)
        guard isTopLevel else { continue }
        if let other = owner[name], other != folder { ambiguous.insert(name) }
        owner[name] = folder
      }
    }
    for name in ambiguous { owner[name] = nil }
    return common.flatMap { strangers(in: $0, owner: owner, declared: declared[$0.parts[2]] ?? []) }
  }

  private static func strangers(
    in file: SourceFile, owner: [String: String], declared: Set<String>
  ) -> [Finding] {
    let folder = file.parts[2]
    guard let allowed = common[folder] else {
      return [Finding(path: file.path, line: 1, message: "Common/\(folder) has no rule: add it here")]
    }
    return file.code.enumerated().flatMap { index, line in
      typeNames(line).compactMap { name -> Finding? in
        guard !declared.contains(name), let other = owner[name], other != folder, !allowed.contains(other)
        else { return nil }
        return Finding(
          path: file.path, line: index + 1, message: "Common/\(folder) must not know \(name) of \(other)")
      }
    }
  }

  /// Words of a line that begin with a capital and do not follow a dot.
  private static func typeNames(_ line: String) -> [String] {
    let isWordByte = { (byte: UInt8) in byte == 0x5f || byte >= 0x80 || isLetterOrDigit(byte) }
    let bytes = Array(line.utf8)
    var names: [String] = []
    var start = 0
    while start < bytes.count {
      guard isWordByte(bytes[start]) else {
        start += 1
        continue
      }
      var end = start
      while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
      let isCapital = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[start])
      if isCapital, start == 0 || bytes[start - 1] != UInt8(ascii: ".") {
        names.append(String(decoding: bytes[start..<end], as: UTF8.self))
      }
      start = end
    }
    return names
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  /// Types that a file declares and whether other files can name them by that name alone.
  private static func declarations(_ file: SourceFile) -> [(name: String, isTopLevel: Bool)] {
    let kinds: [StaticString] = ["struct ", "class ", "enum ", "actor ", "protocol ", "typealias "]
    let pattern = #/\b(?:struct|class|enum|actor|protocol|typealias)\s+([A-Z]\w*)/#
      .wordBoundaryKind(.simple)
    return file.code.flatMap { line -> [(name: String, isTopLevel: Bool)] in
      guard kinds.contains(where: line.has) else { return [] }
      return line.matches(of: pattern).map { match in
        let before = line[..<match.range.lowerBound]
        let isTopLevel = line.first?.isWhitespace == false && !before.contains("{")
        return (String(match.1), isTopLevel && !before.contains("private"))
      }
    }
  }
}
