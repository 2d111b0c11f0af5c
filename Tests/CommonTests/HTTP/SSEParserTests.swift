import Testing

@testable import Common

/// Feeds the pieces one after the other and returns the events' data, nil in the end if the parser threw.
private func events(_ pieces: [ArraySlice<UInt8>], eventBytesMax: Int = 1 << 20) -> [String?] {
  var parser = SSEParser(eventBytesMax: eventBytesMax)
  var found: [String?] = []
  do {
    for piece in pieces { try parser.feed(piece) { found.append(String(decoding: $0, as: UTF8.self)) } }
    try parser.finish { found.append(String(decoding: $0, as: UTF8.self)) }
  } catch { found.append(nil) }
  return found
}

private func events(_ text: String) -> [String?] { events([Array(text.utf8)[...]]) }

@Suite("The parser of server-sent events")
struct SSEParserTests {
  @Test(
    "reads what WHATWG's rules say",
    arguments: [
      ("data: a\n\ndata: b\n\n", ["a", "b"]),
      ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
      ("data:a\n\n", ["a"]), ("data:  a\n\n", [" a"]), ("data: a \n\n", ["a "]),
      ("data: a\ndata: b\n\n", ["a\nb"]), ("data\ndata\n\n", ["\n"]), ("data\n\n", [""]),
      (": a\n:b\ndata: a\n\n", ["a"]), ("event: x\nid: 1\nretry: 5\n\n", []),
      ("event: x\ndata: a\nid: 3\n\n", ["a"]), ("\n\n\n\n", []), ("datax: a\n\n", []),
      ("Data: a\n\n", []), (" data: a\n\n", []), ("\u{feff}data: a\n\n", ["a"]),
      ("\u{feff}\u{feff}data: a\n\n", []), ("data: \u{feff}\n\n", ["\u{feff}"]), ("", []),
      ("data: a: b\n\n", ["a: b"]),
    ] as [(String, [String])])
  func rules(text: String, expected: [String]) {
    #expect(events(text) == expected)
    #expect(events(Array(text.utf8).indices.map { Array(text.utf8)[$0...$0] }) == expected)
  }

  @Test("delivers the last event of a stream that lacks its blank line or last line end")
  func missingEnd() {
    #expect(events("data: a\n\ndata: b\n") == ["a", "b"])
    #expect(events("data: a\n\ndata: b") == ["a", "b"])
    #expect(events("data: a\n\ndata: b\n: bye") == ["a", "b"])
    #expect(events("data: a\n\n: bye") == ["a"])
    #expect(events("\u{feff}") == [])
  }

  @Test("knows [DONE], which is not an event that merely contains it")
  func done() {
    func isDone(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { SSEParser.isDone($0) } }
    #expect(isDone("[DONE]") && isDone(" [DONE] "))
    #expect(!isDone("\"[DONE]\"") && !isDone("[DONE") && !isDone("") && !isDone("[DONE]x"))
  }

  @Test("refuses a line or an event above the maximum, after the events before it, however it is split")
  func tooLarge() {
    let long = "data: a\n\ndata: " + String(repeating: "x", count: 100)
    for text in [long, long + "\n\n", "data: a\n\n:" + String(repeating: "c", count: 101) + "\n"] {
      let bytes = Array(text.utf8)
      #expect(events([bytes[...]], eventBytesMax: 100) == ["a", nil])
      #expect(events(bytes.indices.map { bytes[$0...$0] }, eventBytesMax: 100) == ["a", nil])
    }
    let many = Array("data: a\n\n".utf8) + Array(String(repeating: "data: 12345\n", count: 20).utf8)
    #expect(events([many[...]], eventBytesMax: 100) == ["a", nil])
    let fits = Array(("data:" + String(repeating: "x", count: 95) + "\n\n").utf8)
    #expect(events([fits[...]], eventBytesMax: 100) == [String(repeating: "x", count: 95)])
  }

  @Test("a failed parser keeps failing")
  func staysFailed() {
    var parser = SSEParser(eventBytesMax: 4)
    let bytes = Array("data: too long\n\n".utf8)
    for _ in 0..<2 {
      #expect(throws: SSEParser.Failure.eventTooLarge) { try parser.feed(bytes[...]) { _ in } }
    }
    #expect(throws: SSEParser.Failure.eventTooLarge) { try parser.finish { _ in } }
  }

  @Test("gives the same events for every split of random streams", arguments: 0..<60 as Range<UInt64>)
  func splits(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let text = randomStream(&random)
    let bytes = Array(text.utf8)
    let whole = events([bytes[...]])
    #expect(events(bytes.indices.map { bytes[$0...$0] }) == whole, "seed \(seed)")
    for position in bytes.indices {
      #expect(events([bytes[..<position], bytes[position...]]) == whole, "seed \(seed) at \(position)")
    }
    for _ in 0..<20 {
      var pieces: [ArraySlice<UInt8>] = []
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + Int.random(in: 0...9, using: &random))
        pieces.append(bytes[start..<end])
        start = end
      }
      #expect(events(pieces) == whole, "seed \(seed)")
    }
  }

  @Test("finds the events that were written, whatever the line ends and the lines between")
  func writtenEvents() {
    for seed in 0..<200 as Range<UInt64> {
      var random = SplitMix(seed: seed)
      var text = ""
      var expected: [String] = []
      for number in 0..<Int.random(in: 0...12, using: &random) {
        let end = ["\n", "\r\n", "\r"].randomElement(using: &random)!
        if Bool.random(using: &random) { text += ": ping" + end }
        let lines = (0..<Int.random(in: 1...3, using: &random)).map { "é🙂 \(number) \($0)" }
        for line in lines { text += "data: " + line + end }
        text += end
        expected.append(lines.joined(separator: "\n"))
      }
      #expect(events(text) == expected, "seed \(seed)")
    }
  }

  @Test("never traps on random bytes, and treats every split of them alike")
  func fuzz() {
    let alphabet = Array("data: \n\r\0:x\u{feff}é".utf8) + [0xff, 0xef, 0xbb, 0xbf]
    for seed in 0..<2000 as Range<UInt64> {
      var random = SplitMix(seed: seed)
      let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
        alphabet.randomElement(using: &random)!
      }
      let whole = events([bytes[...]], eventBytesMax: 20)
      let position = Int.random(in: 0...bytes.count, using: &random)
      #expect(events([bytes[..<position], bytes[position...]], eventBytesMax: 20) == whole, "seed \(seed)")
      #expect(
        events(bytes.indices.map { bytes[$0...$0] }, eventBytesMax: 20) == whole, "seed \(seed), bytewise")
    }
  }

  private func randomStream(_ random: inout SplitMix) -> String {
    let words = ["data: ", "data:", "data", ":", "event: x", "a", "é", "🙂", " ", "\u{feff}", "id: 1"]
    let ends = ["\n", "\r", "\r\n", "\n\n", "\r\n\r\n"]
    var text = Bool.random(using: &random) ? "\u{feff}" : ""
    for _ in 0..<Int.random(in: 0...30, using: &random) {
      let isEnd = Int.random(in: 0..<3, using: &random) == 0
      text += (isEnd ? ends : words).randomElement(using: &random)!
    }
    return text
  }
}

/// Random numbers that a seed repeats.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = (seed &+ 1) &* 0xd6e8_feb8_6659_fd93 }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
