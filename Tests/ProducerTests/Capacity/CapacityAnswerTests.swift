import Common
import Foundation
import Testing

@testable import Producer

@Suite("A miner's capacity answer")
struct CapacityAnswerTests {
  private func tasks(_ profile: ProfileName = .vision) throws -> [TaskConfig] {
    try Fixture.config(
      profile: profile.rawValue,
      tasks: [
        Fixture.task("chat-a", weight: 0.5),
        Fixture.task("picture", kind: "image", shape: "text-to-image", weight: 0.5),
      ]
    ).tasks
  }

  private func parse(_ text: String, _ profile: ScoringProfile = .vision) throws -> CapacityAnswer? {
    CapacityAnswer(parsing: Array(text.utf8), tasks: try tasks(profile.name), profile: profile)
  }

  @Test("holds numbers or volumes; unknown tasks are ignored")
  func shapes() throws {
    let answer = try parse(#"{"chat-a": 5, "picture": {"volume": 2.5}, "unknown": 9, "more": [null]}"#)
    #expect(answer?.claims == [5, 2.5])
    #expect(answer?.unusable == 0)
    #expect(try parse("{}")?.claims == [0, 0])
  }

  @Test(
    "may hold a wrong value for one task, which costs only that task",
    arguments: [
      "null", "\"7\"", "[1]", "true", "-3", "{}", #"{"volume": null}"#, #"{"volume": -1}"#,
      "{\"volume\":\"x\"}",
    ])
  func wrongValues(value: String) throws {
    let answer = try parse(#"{"chat-a": \#(value), "picture": 4}"#)
    #expect(answer?.claims == [0, 4])
    #expect(answer?.unusable == 1)
  }

  @Test(
    "counts for nothing when it is no JSON object",
    arguments: ["", "null", "[]", "5", "{", "{\"chat-a\": NaN}"])
  func unreadable(text: String) throws {
    #expect(try parse(text) == nil)
  }

  @Test("is refused when it nests deeper than any answer does, whatever the parser would do")
  func depth() throws {
    #expect(try parse(String(repeating: "[", count: 60_000)) == nil)
    #expect(try parse(String(repeating: "{\"chat-a\":", count: 6_000)) == nil)
    let text = #"{"chat-a": 1, "x": "\#(String(repeating: "[", count: 500))\"["}"#
    #expect(try parse(text)?.claims == [1, 0], "brackets in a text are none")
    #expect(try parse(#"{"chat-a": 1, "x": "\#(String(repeating: "y", count: 70_000))"}"#) == nil)
  }

  @Test("needs a miner type in the nineteen profile, and counts for that type only")
  func minerType() throws {
    let claims = #""chat-a": 5, "picture": 7"#
    #expect(try parse(#"{\#(claims), "miner_type": "text"}"#, .nineteen)?.claims == [5, 0])
    #expect(try parse(#"{\#(claims), "miner_type": "image"}"#, .nineteen)?.claims == [0, 7])
    #expect(try parse(#"{\#(claims), "miner_type": null}"#, .nineteen) == nil)
    #expect(try parse("{\(claims)}", .nineteen) == nil)
  }

  @Test("never traps and never claims a negative or non-finite volume, whatever bytes it has")
  func fuzz() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let tasks = try tasks()
    let samples = [
      #"{"chat-a": 1e308, "picture": {"volume": -0.0}, "miner_type": "text"}"#,
      #"{"chat-a": 123456789012345678901234567890, "picture": [{"volume": 1}], "miner_type": null}"#,
      #"{"chat-a": {"volume": {"volume": 3}}, "picture": "\u00e9\ud83d\ude00", "x": 1e-400}"#,
    ].map { Array($0.utf8) }
    let fragments = [
      "1e999", "-1", "NaN", "\"", "\\", "\\ud800", "{", "}", "[", "null", ",", ":", "\u{0}", "9",
    ]
    .map { Array($0.utf8) }
    for _ in 0..<400 {
      var bytes = samples[random.below(samples.count)]
      for _ in 0...random.below(4) {
        let place = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(contentsOf: fragments[random.below(fragments.count)], at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 5))
        }
        if bytes.isEmpty { bytes = [0] }
      }
      for profile in [ScoringProfile.vision, .nineteen] {
        guard let answer = CapacityAnswer(parsing: bytes, tasks: tasks, profile: profile) else { continue }
        #expect(answer.claims.count == tasks.count, "seed \(seed)")
        #expect(answer.claims.allSatisfy { $0.isFinite && $0 >= 0 }, "seed \(seed)")
      }
    }
  }

  @Test("answers a question that names every task that is switched on")
  func question() throws {
    let tasks = try Fixture.config(
      tasks: [Fixture.task("chat-a", weight: 1), Fixture.task("off", weight: 0)]
    ).tasks
    let body = try JSON(parsing: Data(CapacityQuestion.body(tasks: tasks)))
    #expect(body["task_configs"]?[0]?["task"]?.text == "chat-a")
    #expect(body["task_configs"]?[0]?["max_capacity"]?.double == 1000)
    #expect(body["task_configs"]?[1] == nil)
  }
}
