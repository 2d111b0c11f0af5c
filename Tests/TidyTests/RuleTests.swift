import Testing

/// A rule that finds nothing in a tidy tree proves nothing: each is shown what it forbids.
@Suite("The rules of the tree")
struct RuleTests {
  private func file(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }

  @Test("tell code from comments and strings")
  func scanning() {
    let file = file(
      "Sources/Common/Loop/A.swift",
      #"""
      let a = "x { \(b("inner") + 1) \" y" // note {
      /* one /* two */ still */ let c = 2
      let d = """
        many "quotes" }
        """
      """#)
    #expect(file.code.joined().contains("{") == false)
    #expect(file.code.joined().contains("}") == false)
    #expect(file.code[1].contains("let c = 2"))
    #expect(!file.code[1].contains("still"))
    #expect(file.comments[0].contains("note {"))
    #expect(file.literals.map(\.text).contains { $0.contains(#"many "quotes" }"#) })
    #expect(file.literals.map(\.line) == [1, 1, 3])
    #expect(file.code.count == file.lines.count)
  }

  @Test("measure functions by their braces")
  func functionSizes() {
    let body = Array(repeating: "  a()", count: 68).joined(separator: "\n")
    let fits = "func f(\n  x: () -> Void = { }\n) {\n\(body.dropLast(12))\n}"
    let long = "struct S {\nprivate func g() {\n\(body)\n  a()\n}\n}"
    #expect(SizeRules.functions(file("A.swift", fits)).isEmpty)
    #expect(SizeRules.functions(file("A.swift", long)).map(\.line) == [2])
    let abstract = "protocol P {\n  func f()\n  init(a: Int)\n}\nfunc h() {\n  self.init(1)\n}"
    #expect(SizeRules.functionBodies(file("A.swift", abstract)).map(\.name) == ["h"])
    #expect(SizeRules.files([("A.swift", Array(repeating: "", count: 401))]).count == 1)
  }

  @Test(
    "refuse imports against the direction",
    arguments: [
      ("Sources/Producer/A.swift", "import Workers"), ("Sources/Workers/A.swift", "import CCurl"),
      ("Sources/Common/Queue/A.swift", "import CHiredis"), ("Sources/Common/Loop/A.swift", "import Vision"),
      ("Sources/Aggregator/A.swift", "@testable import Vision"),
      ("Sources/Stranger/A.swift", "import Common"),
      ("Sources/Simulator/Main/main.swift", "import struct Workers.Slot"),
    ])
  func imports(path: String, text: String) {
    #expect(DependencyRules.imports(file(path, text)).count == 1)
  }

  @Test(
    "allow imports along the direction",
    arguments: [
      ("Sources/Common/Redis/A.swift", "import CHiredis"), ("Sources/Producer/A.swift", "import Common"),
      ("Sources/Vision/A.swift", "import Aggregator"), ("Sources/Workers/Main/main.swift", "import Workers"),
      ("Sources/Common/Loop/A.swift", "// import Vision"),
    ])
  func allowedImports(path: String, text: String) {
    #expect(DependencyRules.imports(file(path, text)).isEmpty)
  }

  @Test("see a type used against the direction of the folders")
  func folders() {
    let loop = file("Sources/Common/Loop/Turn.swift", "public struct Turn { enum State { } }")
    let down = file("Sources/Common/Redis/A.swift", "/// A Turn.\nlet turn = Turn()")
    let up = file("Sources/Common/Domain/A.swift", "struct State {}\nlet a = State()\nlet turn: Turn? = nil")
    #expect(DependencyRules.folders([loop, down]).isEmpty)
    #expect(DependencyRules.folders([loop, up]).map(\.line) == [3])
  }

  @Test(
    "see what pure code must not do",
    arguments: [
      "let a = FileManager.default", "let a = Date()", "clock_gettime(CLOCK_REALTIME, &time)",
      "Int.random(in: 0..<4)", "items.shuffled()", "print(a)", "import Glibc", "let id = UUID()",
      "let now = WallClock.nowMilliseconds()", "Task { await f() }",
    ])
  func purity(text: String) {
    #expect(TextRules.purity(file("Sources/Common/Scoring/A.swift", text)).count == 1)
    #expect(TextRules.purity(file("Sources/Common/Loop/A.swift", text)).isEmpty)
  }

  @Test("leave seeded chance to pure code")
  func seeded() {
    let text = "import Foundation\nlet a = Int.random(in: 0..<4, using: &generator)\nlet date = Date(x)"
    #expect(TextRules.purity(file("Sources/Common/Domain/A.swift", text)).isEmpty)
  }

  @Test("see shortcuts, notes and machine paths, and only where they count")
  func text() {
    #expect(TextRules.shortcuts(file("A.swift", "let a = try! b()\nfatalError(\"TODO later\")")).count == 2)
    #expect(TextRules.shortcuts(file("A.swift", "let a = \"try! b()\" // try! c")).isEmpty)
    #expect(TextRules.notes(path: "a", comments: ["// FIXME: x", "mktemp a.XXXXXX"]).map(\.line) == [1])
    let paths = ["cd /home/me", "a/home/b", "https://x.org/work/y", "(/Users/me)"]
    #expect(TextRules.machinePaths(path: "a", lines: paths).map(\.line) == [1, 4])
  }

  @Test("want an argument directly above a promise")
  func promises() {
    let argued =
      "/// Why.\n/// `@unchecked Sendable`: guarded by a lock.\n@frozen\nclass A: @unchecked Sendable {}"
    let far = "/// `@unchecked Sendable`: of another.\n\nclass A: @unchecked Sendable {}"
    #expect(TextRules.promises(file("A.swift", argued)).isEmpty)
    #expect(TextRules.promises(file("A.swift", far)).map(\.line) == [3])
    #expect(TextRules.promises(file("A.swift", "/// A count.\nnonisolated(unsafe) var a = 1")).count == 1)
    #expect(TextRules.promises(file("A.swift", "// One thread.\nnonisolated(unsafe) var a = 1")).isEmpty)
  }

  @Test("see Swift that no target builds")
  func deadFiles() {
    let files = ["Sources/Common/A.swift", "Sources/Lost/A.swift", "tool.swift"].map { file($0, "") }
    #expect(
      LayoutRules.deadFiles(files, package: ["name: \"Common\""]).map(\.path) == [
        "Sources/Lost/A.swift", "tool.swift",
      ])
  }

  @Test("see Redis keys outside their one place")
  func redisKeys() {
    let text = "let key = \"vision:{\\(q)}:due\""
    #expect(LayoutRules.redisKeys(file("Sources/Workers/A.swift", text)).count == 1)
    #expect(LayoutRules.redisKeys(file("Sources/Common/Wire/Keys+Period.swift", text)).isEmpty)
    #expect(LayoutRules.luaKeys(path: "a.lua", lines: ["redis.call('GET', 'vision:x')"]).count == 1)
  }

  @Test("see a Lua script without its contract, or outside the program")
  func lua() {
    let header = ["-- claim: …", "-- Guarantee: …", "-- KEYS 1 …", "-- ARGS 1 …", "-- RETURNS …", "return 1"]
    #expect(LayoutRules.luaHeader(path: "Scripts/claim.lua", lines: header).isEmpty)
    #expect(LayoutRules.luaHeader(path: "Scripts/claim.lua", lines: ["return 1"] + header).count == 4)
    let package = ["let scripts = [", "  \"prelude\", \"gone\",", "]"]
    let findings = LayoutRules.luaEmbedding(scripts: ["a/prelude.lua", "a/new.lua"], package: package)
    #expect(
      findings.map(\.message) == [
        "Queue/Scripts/gone.lua is listed and does not exist", "Queue/Scripts/new.lua is not listed",
      ])
  }
}
