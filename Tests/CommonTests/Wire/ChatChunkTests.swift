import Foundation
import Testing

@testable import Common

@Suite("The scan of a text chunk")
struct ChatChunkTests {
  private func scan(_ json: String) -> (chunk: ChatChunk, text: String) { ChatChunk.scan(Array(json.utf8)) }

  @Test("finds the text of the three dialects, with its code points")
  func dialects() {
    let chat = scan(
      #"{"id":"x","choices":[{"index":0,"delta":{"content":"Hé"},"logprobs":{"content":[{"token":"H"}]}}]}"#)
    #expect(chat.text == "Hé" && chat.chunk.kind == .content)
    #expect(chat.chunk.codePoints == 2 && chat.chunk.hasLogprobs)
    let completion = scan(#"{"choices":[{"index":0,"text":" a","logprobs":null,"finish_reason":null}]}"#)
    #expect(completion.text == " a" && !completion.chunk.hasLogprobs && !completion.chunk.hasFinishReason)
    let bare = scan(#"{"text": "a", "logprob": -1}"#)
    #expect(bare.text == "a" && bare.chunk.hasLogprobs && bare.chunk.kind == .content)
  }

  @Test(
    "knows a chunk in order that carries no text",
    arguments: [
      #"{"choices":[{"delta":{"role":"assistant","content":""},"logprobs":null}]}"#,
      #"{"choices":[{"delta":{"role":"assistant"}}]}"#, #"{"choices":[{"delta":{"content":null}}]}"#,
      #"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, #"{"choices":[],"usage":{"total_tokens":3}}"#,
      #"{"choices":[{"text":""}]}"#, #"{}"#, #"{"text":""}"#, #"{"choices":null}"#, #"{"error":null}"#,
      #"{"choices":[{"delta":null}],"message":"x"}"#, #"{"type":"ping"}"#,
    ])
  func empty(json: String) {
    #expect(scan(json).chunk.kind == .empty)
    #expect(scan(json).text.isEmpty)
  }

  @Test(
    "takes a key only in its own place",
    arguments: [
      #"{"content":"x","choices":[{"content":"x","delta":{"a":{"content":"x","text":"x"}}}]}"#,
      #"{"choices":[{"logprobs":{"content":"x","delta":{"content":"x"},"text":"x"},"delta":{}}]}"#,
      #"{"choices":[{},{"delta":{"content":"x"}}]}"#, #"{"delta":{"content":"x"}}"#,
      #"{"a":{"choices":[{"text":"x"}]},"b":"{\"choices\":[{\"text\":\"x\"}]}"}"#,
    ])
  func place(json: String) { #expect(scan(json).chunk.kind == .empty) }

  @Test("of a repeated key the last wins, and an escaped key is the same key")
  func repeated() {
    #expect(scan(#"{"choices":[{"text":"a"}],"choices":[{"text":"b"}]}"#).text == "b")
    #expect(scan(#"{"choices":[{"text":"a"}],"choices":[]}"#).chunk.kind == .empty)
    #expect(scan(#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#).text == "b")
    #expect(scan(#"{"choices":[{"delta":{"content":"a"},"delta":{}}]}"#).chunk.kind == .empty)
    #expect(scan(#"{"cho\u0069ces":[{"delta":{"\u0063ontent":"a"}}]}"#).text == "a")
  }

  @Test("resolves escapes and counts code points, not bytes or graphemes")
  func escapes() {
    let all = scan(#"{"text":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é👩‍👩‍👧"}"#)
    #expect(all.text == "\"\\/\u{8}\u{c}\n\r\t\u{e9}😀é👩‍👩‍👧")
    #expect(all.chunk.codePoints == all.text.unicodeScalars.count)
  }

  @Test(
    "knows an error inside the stream and its message",
    arguments: [
      (#"{"error":{"message":"no memory","code":500}}"#, "no memory"), (#"{"error":"busy"}"#, "busy"),
      (#"{"object":"error","message":"bad","code":400}"#, "bad"),
      (#"{"message":"Enhance your calm bro"}"#, "Enhance your calm bro"),
      (#"{"detail":[{"loc":["body"]}]}"#, #"[{"loc":["body"]}]"#), (#"{"error":{"code":5}}"#, #"{"code":5}"#),
      (#"{"choices":[{"text":"a"}],"error":{"message":"late"}}"#, "late"),
    ])
  func errors(json: String, message: String) {
    #expect(scan(json).chunk.kind == .error)
    #expect(scan(json).text == message)
    #expect(JSONErrorBody.message(Array(json.utf8)) == message)
    #expect(scan(json).chunk.content == nil)
  }

  @Test("cuts a long error message between characters")
  func longError() {
    let json = #"{"error":""# + String(repeating: "é", count: 1000) + #"""# + "}"
    #expect(scan("{\"error\":\"a\(String(repeating: "é", count: 1000))\"}").text.utf8.count == 299)
    #expect(scan(json).text == String(repeating: "é", count: 150))
  }

  @Test(
    "calls garbage malformed",
    arguments: [
      "", " ", "5", "null", "[]", "\"a\"", "{", "{}x", "{} {}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,}"#,
      #"{"text":"a}"#, #"{"text":"\x"}"#, #"{"text":"\u12"}"#, #"{"text":"\ud83d"}"#, #"{"text":"\ude00"}"#,
      #"{"text":"\ud83d\u0041"}"#, "{\"text\":\"a\nb\"}", #"{"a":01}"#, #"{"a":1.}"#, #"{"a":.5}"#,
      #"{"a":+1}"#,
      #"{"a":1e}"#, #"{"a":-}"#, #"{"a":NaN}"#, #"{"a":-Infinity}"#, #"{"a":tru}"#, #"{'a':1}"#,
      #"{"choices":{}}"#, #"{"choices":[5]}"#, #"{"choices":[null]}"#, #"{"choices":[{"delta":"a"}]}"#,
      #"{"choices":[{"delta":{"content":5}}]}"#, #"{"choices":[{"text":["a"]}]}"#, #"{"text":5}"#, "[DONE]",
      "{\"a\":" + String(repeating: "[", count: 40) + String(repeating: "]", count: 40) + "}",
    ])
  func garbage(json: String) {
    #expect(scan(json).chunk.kind == .malformed)
    #expect(scan(json).text.isEmpty)
  }

  @Test("calls broken UTF-8 and too large chunks malformed")
  func brokenBytes() {
    let broken: [[UInt8]] = [
      [0xff], [0xc0, 0x80], [0xc3], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80],
      [0xf0, 0x80, 0x80, 0x80], [0xe0, 0x80, 0x80],
    ]
    for bytes in broken {
      let json = Array("{\"text\":\"".utf8) + bytes + Array("\"}".utf8)
      #expect(ChatChunk.scan(json).chunk.kind == .malformed, "\(bytes)")
    }
    let large = "{\"text\":\"" + String(repeating: "a", count: ChatChunk.bytesMax) + "\"}"
    #expect(scan(large).chunk.kind == .malformed)
  }

  @Test("tells a JSON body from events by its start")
  func likelyJSON() {
    func isLikely(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { JSONErrorBody.isLikely($0) } }
    #expect(isLikely(" \r\n{\"error\"") && isLikely("["))
    #expect(!isLikely("data: {") && !isLikely(": {") && !isLikely(""))
  }
}

@Suite("The scan of a text chunk, against Foundation's parser")
struct ChatChunkPropertyTests {
  /// What the chunk says by the rules, computed from Foundation's values.
  private func reference(_ value: [String: Any]) -> (kind: ChatChunk.Kind, text: String) {
    if let error = value["error"], !(error is NSNull) {
      return (.error, (error as? [String: Any])?["message"] as? String ?? "")
    }
    let choices = value["choices"] as? [[String: Any]]
    let first = choices?.first
    var text = (first?["delta"] as? [String: Any])?["content"] as? String ?? ""
    if text.isEmpty { text = first?["text"] as? String ?? "" }
    if choices == nil { text = value["text"] as? String ?? "" }
    return (text.isEmpty ? .empty : .content, text)
  }

  @Test("agrees on generated chunks, and a user gets what Foundation finds in them")
  func generated() throws {
    for seed in 0..<3000 as Range<UInt64> {
      var random = SplitMix(seed: seed)
      let json = ChunkWriter.chunk(&random)
      let value = try #require(
        try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any], "seed \(seed)")
      let found = ChatChunk.scan(Array(json.utf8))
      let expected = reference(value)
      #expect(found.chunk.kind == expected.kind, "seed \(seed): \(json)")
      // An error without a message of its own is shown whole.
      if found.chunk.kind == .error, expected.text.isEmpty { continue }
      #expect(Array(found.text.utf8) == Array(expected.text.utf8), "seed \(seed): \(json)")
      guard found.chunk.kind != .error else { continue }
      #expect(found.chunk.codePoints == expected.text.unicodeScalars.count, "seed \(seed): \(json)")
      try expectSame(json, value, found.chunk, "seed \(seed): \(json)")
    }
  }

  /// What a user gets of a chunk: its text, finish reason and log probabilities, and nothing else.
  private func expectSame(
    _ json: String, _ value: [String: Any], _ chunk: ChatChunk, _ comment: Comment
  ) throws {
    let first = (value["choices"] as? [[String: Any]])?.first
    let reason = first?["finish_reason"] as? String
    var output: [UInt8] = []
    Array(json.utf8).withUnsafeBytes {
      ChatChunkPropertyTests.form.append(chunk, of: $0, isFirst: false, to: &output)
    }
    guard chunk.kind == .content || reason != nil else {
      #expect(output.isEmpty, comment)
      return
    }
    #expect(output.count { $0 == 0x0a } == 2 && output.suffix(2) == [0x0a, 0x0a], comment)
    let written = try #require(
      try JSONSerialization.jsonObject(with: Data(output.dropFirst(6))) as? [String: Any], comment)
    let choice = try #require((written["choices"] as? [[String: Any]])?.first, comment)
    let text = (choice["delta"] as? [String: Any])?["content"] as? String ?? ""
    #expect(Array(text.utf8) == Array(reference(value).text.utf8), comment)
    #expect(choice["finish_reason"] as? String == reason, comment)
    let logprobs = first?["logprobs"].flatMap { $0 is NSNull ? nil : $0 as? NSObject }
    #expect(choice["logprobs"] as? NSObject == logprobs, comment)
    #expect(Set(written.keys) == ["id", "object", "created", "model", "choices"], comment)
  }

  private static let form = ChunkForm(
    id: "j", frame: .init(model: "m", isChat: true), createdSeconds: 5, keepsLogprobs: true)

  @Test("never traps on mutated chunks, and accepts nothing that Foundation refuses")
  func mutated() {
    for seed in 0..<6000 as Range<UInt64> {
      var random = SplitMix(seed: seed)
      var bytes = Array(ChunkWriter.chunk(&random).utf8)
      for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
      let found = ChatChunk.scan(bytes).chunk
      var output: [UInt8] = []
      bytes.withUnsafeBytes {
        ChatChunkPropertyTests.form.append(found, of: $0, isFirst: true, to: &output)
      }
      guard found.kind != .malformed else { continue }
      // Valid by the grammar, but no Double: Foundation refuses numbers such as 1e400.
      if String(decoding: bytes, as: UTF8.self).contains(/[eE][+]?[0-9]{3}/) { continue }
      let value = try? JSONSerialization.jsonObject(with: Data(bytes))
      #expect(value is [String: Any], "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
      if !output.isEmpty {
        let written = try? JSONSerialization.jsonObject(with: Data(output.dropFirst(6)))
        #expect(written is [String: Any], "seed \(seed): \(String(decoding: output, as: UTF8.self))")
      }
    }
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
    guard !bytes.isEmpty else { return }
    let index = Int.random(in: 0..<bytes.count, using: &random)
    let interesting = Array("\"\\{}[],:0-.eutn \n".utf8) + [0, 0x80, 0xff, 0xc3]
    switch Int.random(in: 0..<5, using: &random) {
    case 0: bytes.remove(at: index)
    case 1: bytes.insert(interesting.randomElement(using: &random)!, at: index)
    case 2: bytes[index] = UInt8.random(in: 0...255, using: &random)
    case 3: bytes.removeSubrange(index...)
    default: bytes[index] = interesting.randomElement(using: &random)!
    }
  }
}

/// Writes random chunks as text: any order of keys, any white space, escapes at random.
private enum ChunkWriter {
  static func chunk(_ random: inout SplitMix) -> String {
    var members: [(String, String)] = [("id", string(&random)), ("x", value(&random, depth: 3))]
    switch Int.random(in: 0..<10, using: &random) {
    case 0: members.append(("error", object([("message", text(&random)), ("content", "5")], &random)))
    case 1: members += [("text", text(&random)), ("logprobs", value(&random, depth: 2))]
    default:
      let count = Int.random(in: 0...2, using: &random)
      members.append(("choices", list((0..<count).map { _ in choice(&random) }, &random)))
    }
    return object(members, &random)
  }

  private static func choice(_ random: inout SplitMix) -> String {
    var members = [("index", "0"), ("finish_reason", value(&random, depth: 0))]
    if Bool.random(using: &random) {
      members.append(("delta", object([("content", text(&random)), ("role", "\"a\"")], &random)))
    } else {
      members.append(("text", text(&random)))
    }
    if Bool.random(using: &random) { members.append(("logprobs", value(&random, depth: 3))) }
    return object(members, &random)
  }

  private static func text(_ random: inout SplitMix) -> String {
    Int.random(in: 0..<8, using: &random) == 0 ? "null" : string(&random)
  }

  private static func value(_ random: inout SplitMix, depth: Int) -> String {
    switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
    case 0: return ["null", "true", "false"].randomElement(using: &random)!
    case 1: return ["0", "-1", "12.5", "1e3", "-0.5E-2", "123456789"].randomElement(using: &random)!
    case 2, 3, 4: return string(&random)
    case 5: return list((0..<3).map { _ in value(&random, depth: depth - 1) }, &random)
    default:
      let names = ["content", "text", "logprobs", "delta", "choices"].shuffled(using: &random).prefix(2)
      return object(names.map { ($0, value(&random, depth: depth - 1)) }, &random)
    }
  }

  private static func string(_ random: inout SplitMix) -> String {
    let pieces = [
      "a", "Hello", " ", "é", "漢", "😀", #"\""#, #"\\"#, #"\/"#, #"\n"#, #"\t"#, #"\u00e9"#, #"\ud83d\ude00"#,
      "{", "}", "[", "]", ",", ":", "content", #"\u0041"#, #"\b\f\r"#,
    ]
    return "\""
      + (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random)! }
      .joined()
      + "\""
  }

  private static func object(_ members: [(String, String)], _ random: inout SplitMix) -> String {
    let shuffled = members.shuffled(using: &random)
    return "{"
      + shuffled.map { space(&random) + "\"\($0.0)\"" + space(&random) + ":" + $0.1 + space(&random) }
      .joined(separator: ",") + "}"
  }

  private static func list(_ items: [String], _ random: inout SplitMix) -> String {
    "[" + items.map { space(&random) + $0 }.joined(separator: ",") + "]"
  }

  private static func space(_ random: inout SplitMix) -> String {
    ["", "", "", " ", "\n", "\t "].randomElement(using: &random)!
  }
}
