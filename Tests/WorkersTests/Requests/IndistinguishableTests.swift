import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

/// Users' requests and test queries through the same worker, as a miner sees them.
///
/// Users' texts come from the corpus here: how alike the contents are is up to the corpus that the operator
/// names. All else that a miner sees is the validator's doing.
@Suite("Users' requests and test queries", .timeLimit(.minutes(5)))
struct IndistinguishableTests {
  static let shapes = """
    {"version": 1, "rows": [
      {"task": "chat", "weight": 5, "temperature": 0.7, "top_p": 0.95, "max_tokens": 512, "messages": 1, "words": 40},
      {"task": "chat", "weight": 3, "temperature": 0.5, "top_p": 1, "max_tokens": 256, "messages": 3, "words": 90,
       "system": false},
      {"task": "chat", "weight": 2, "temperature": 1, "top_p": 1, "max_tokens": 1024, "messages": 5, "words": 160},
      {"task": "chat", "weight": 1, "temperature": 0, "top_p": 0.1, "max_tokens": 64, "messages": 1, "words": 20,
       "system": false}]}
    """
  static let perClass = 1_600

  @Test("look alike to a classifier of all that a miner sees, which finds a planted difference")
  @IO func classifier() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    let file = FileManager.default.temporaryDirectory.appending(path: "shapes-\(UUID().uuidString).json")
    try Data(IndistinguishableTests.shapes.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    try await OrganicBench.run(miners: 1, planned: IndistinguishableTests.perClass) { bench in
      let miner = bench.miners[0]
      miner.act = { _ in .answer(1) }
      let count = IndistinguishableTests.perClass
      try await bench.withWorker(["--query-shapes", file.path()]) {
        // In four turns, so that nothing depends on the time.
        var labels: [Bool] = []
        for turn in 0..<4 {
          try await users(bench, turn * count / 4..<(turn + 1) * count / 4, seed)
          labels += [Bool](repeating: true, count: count / 4)
          try await tests(bench, turn * count / 4..<(turn + 1) * count / 4, chunk: turn * count / 400)
          labels += [Bool](repeating: false, count: count / 4)
          #expect(miner.bodies.count == labels.count)
        }
        let rows = try zip(miner.heads, miner.bodies).map { try Sight(head: $0, body: $1).features }
        let area = Stumps.areaByHalves(rows, labels)
        #expect(area <= 0.55, "seed \(seed)")
        // Were the classifier blind, the test would show nothing.
        let planted = zip(rows, labels).map { row, isUser in
          row.map { $0 + (isUser && Int(row[0]) % 3 == 0 ? 1 : 0) }
        }
        let found = Stumps.areaByHalves(planted, labels)
        #expect(found > 0.6, "seed \(seed)")
        print("indistinguishable: AUC \(area), with a planted difference \(found)")
      }
    }
  }

  /// Users who ask as the file says, with the fields that OpenAI clients send.
  @IO private func users(_ bench: OrganicBench, _ numbers: Range<Int>, _ seed: UInt64) async throws {
    let shapes = try QueryShapes(parsing: Data(IndistinguishableTests.shapes.utf8))
    var random = SeededRandom(seed: seed, "users", String(numbers.lowerBound))
    for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 50) {
      let asks = (start..<min(start + 50, numbers.upperBound)).map { number in
        let row = shapes.draw(task: "chat", &random)!
        return IO.task { @IO in
          // The numbers are the row's own; only the words come from where those of test queries come from.
          let one = try JSON(parsing: JSONEncoder().encode(row))
          let file: JSON = .object(["version": .integer(1), "rows": .array([one])])
          let source = SyntheticQuery(
            corpus: .builtIn, shapes: try QueryShapes(parsing: Data(file.canonicalText().utf8)))
          let job = SyntheticJob(period: PeriodID(startSeconds: 1), task: "chat", miner: 0, number: number)
          let drawn = source.parameters(bench.period.tasks[0], job: job, seed: seed)
          let messages = drawn.messages.map {
            JSON.object(["role": .string($0.role), "content": .string($0.content)])
          }
          let payload: JSON = .object([
            "messages": .array(messages), "model": .string("chat"), "stream": .bool(true),
            "temperature": .number(row.temperature!), "top_p": .number(row.topP!),
            "max_tokens": .integer(row.maxTokens!), "user": .string("u\(number)"), "n": .integer(1),
          ])
          let reply = try await bench.ask("u\(number)", payload.canonicalText())
          #expect(reply.last["end"] == "done")
        }
      }
      for ask in asks { try await ask.value }
    }
  }

  /// Planned queries, due at once.
  @IO private func tests(_ bench: OrganicBench, _ numbers: Range<Int>, chunk: Int) async throws {
    let before = bench.miners[0].bodies.count
    let queue = bench.queue
    for (offset, start) in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 100).enumerated() {
      let jobs = (start..<start + 100).map { number in
        let job = SyntheticJob(period: bench.period.id, task: "chat", miner: 0, number: number)
        return (dueMilliseconds: bench.period.startMilliseconds, id: job.description)
      }
      let result = try await queue.schedule(
        leader: "p", period: bench.period.id, chunk: chunk + offset,
        isLast: start + 100 == IndistinguishableTests.perClass, volumes: [], jobs: jobs)
      #expect(result == .next(chunk + offset + 1))
    }
    try await bench.until("all are asked") {
      let done = try await queue.redis.send("HGET", queue.keys.period(bench.period.id), "done").int ?? 0
      return bench.miners[0].bodies.count == before + numbers.count && done == numbers.upperBound
    }
  }
}
