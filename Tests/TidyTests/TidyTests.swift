import Testing

@Suite("The tree")
struct TidyTests {
  private let tree = SourceTree.package
  private var sources: [SourceFile] { tree.swift.filter { $0.path.hasPrefix("Sources/") } }
  private var scripts: [(path: String, lines: [String])] {
    tree.others.filter { $0.path.hasPrefix("Sources/Common/Queue/Scripts/") && $0.path.hasSuffix(".lua") }
  }

  private func expectNone(_ findings: [Finding]) {
    #expect(findings.isEmpty, "\(findings.report)")
  }

  @Test("is found, with what the rules look at")
  func isFound() {
    #expect(sources.count > 5)
    #expect(tree.lines(of: "Package.swift") != nil)
    #expect(scripts.contains { $0.path.hasSuffix("prelude.lua") })
  }

  @Test("has no file over 400 lines")
  func fileSizes() {
    let written = tree.others.filter { $0.path.contains(#/\.(?:lua|c|h|sh|py)$|^scripts\//#) }
    expectNone(SizeRules.files(written + tree.swift.map { ($0.path, $0.lines) }))
  }

  @Test("has no function over 70 lines")
  func functionSizes() { expectNone(tree.swift.flatMap(SizeRules.functions)) }

  @Test("imports in one direction only")
  func imports() { expectNone(tree.swift.flatMap(DependencyRules.imports)) }

  @Test("uses types between the folders of Common in one direction only")
  func folders() { expectNone(DependencyRules.folders(tree.swift)) }

  @Test("keeps I/O, clocks and chance out of the pure folders")
  func purity() { expectNone(tree.swift.flatMap(TextRules.purity)) }

  @Test("forces no error away and leaves nothing unwritten")
  func shortcuts() { expectNone(tree.swift.flatMap(TextRules.shortcuts)) }

  @Test("holds no notes to oneself")
  func notes() {
    expectNone(tree.swift.flatMap { TextRules.notes(path: $0.path, comments: $0.comments) })
    expectNone(tree.others.flatMap { TextRules.notes(path: $0.path, comments: $0.lines) })
  }

  @Test("argues for every promise that the compiler cannot check")
  func promises() { expectNone(tree.swift.flatMap(TextRules.promises)) }

  @Test("names no path of a developer's machine")
  func machinePaths() {
    let all = tree.others + tree.swift.map { ($0.path, $0.lines) }
    let others = all.filter { !$0.path.hasPrefix("Tests/TidyTests/") }
    expectNone(others.flatMap { TextRules.machinePaths(path: $0.path, lines: $0.lines) })
  }

  @Test("builds every Swift file in it")
  func deadFiles() {
    expectNone(LayoutRules.deadFiles(tree.swift, package: tree.lines(of: "Package.swift") ?? []))
  }

  @Test("spells every Redis key once")
  func redisKeys() {
    expectNone(sources.flatMap(LayoutRules.redisKeys))
    expectNone(scripts.flatMap { LayoutRules.luaKeys(path: $0.path, lines: $0.lines) })
  }

  @Test("states the contract of every Lua script, and embeds it")
  func lua() {
    expectNone(scripts.flatMap { LayoutRules.luaHeader(path: $0.path, lines: $0.lines) })
    expectNone(
      LayoutRules.luaEmbedding(
        scripts: scripts.map(\.path), package: tree.lines(of: "Package.swift") ?? []))
  }
}
