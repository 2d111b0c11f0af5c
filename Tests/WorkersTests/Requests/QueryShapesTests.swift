import Foundation
import Testing

@testable import Common
@testable import Workers

@Suite("Query shapes")
struct QueryShapesTests {
  @Test("are drawn by their weight, for their own task only")
  func weights() throws {
    let text = """
      {"version": 1, "rows": [{"task": "chat", "weight": 3, "temperature": 0.25},
       {"task": "chat", "weight": 1, "temperature": 0.75}, {"task": "image", "steps": 7}]}
      """
    let shapes = try QueryShapes(parsing: Data(text.utf8))
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let count = (0..<4_000).count { _ in shapes.draw(task: "chat", &random)?.temperature == 0.25 }
    // Five standard deviations of a binomial variable.
    #expect(abs(Double(count) - 3_000) < 5 * (4_000 * 0.75 * 0.25).squareRoot(), "seed \(seed)")
    #expect(shapes.draw(task: "image", &random)?.steps == 7)
    #expect(shapes.draw(task: "embed", &random) == nil)
  }

  @Test("decide what they name and leave the rest, and the same job gives the same query")
  func query() throws {
    let text = """
      {"version": 1, "rows": [{"task": "chat", "temperature": 0.33, "top_p": 0.9, "max_tokens": 77, "messages": 5,
       "words": 60, "system": false}]}
      """
    let task = try #require(RequestTests.tasks.first { $0.shape == .chat })
    var chat = task
    chat.name = "chat"
    let query = SyntheticQuery(corpus: .builtIn, shapes: try QueryShapes(parsing: Data(text.utf8)))
    let job = SyntheticJob(period: PeriodID(startSeconds: 7), task: "chat", miner: 0, number: 3)
    let drawn = query.parameters(chat, job: job, seed: 5)
    #expect(drawn.temperature == 0.33 && drawn.topP == 0.9 && drawn.maxTokens == 77)
    #expect(drawn.messages.map(\.role) == ["user", "assistant", "user", "assistant", "user"])
    #expect(drawn == query.parameters(chat, job: job, seed: 5))
    let other = SyntheticQuery(corpus: .builtIn).parameters(task, job: job, seed: 5)
    #expect(drawn.seed == other.seed, "what no row names is drawn as without a file")
  }

  @Test(
    "that make no sense are refused with the row and the reason",
    arguments: [
      ("[]", "it is no JSON object with 'version' and 'rows' of the right types"),
      (#"{"version":2,"rows":[{"task":"a"}]}"#, "version must be 1"),
      (#"{"version":1,"rows":[]}"#, "it must have 1 to 100000 rows"),
      (
        #"{"version":1,"rows":[{"task":"a"},{"task":"a","messages":2}]}"#,
        "row 1: messages must be odd, from 1 to 99"
      ),
      (#"{"version":1,"rows":[{"task":"a","temprature":1}]}"#, "row 0: there is no field temprature"),
      (#"{"version":1,"rows":[{"task":"a","weight":0}]}"#, "row 0: weight must be positive"),
    ])
  func invalid(text: String, reason: String) {
    #expect(throws: QueryShapes.Invalid(description: reason)) { try QueryShapes(parsing: Data(text.utf8)) }
  }
}
