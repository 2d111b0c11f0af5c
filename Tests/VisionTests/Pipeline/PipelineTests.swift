import Common
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Producer
@testable import Vision

@Suite("The programs together", .timeLimit(.minutes(3)))
struct PipelineTests {
  @Test("the jobs of a query worker that is killed are taken over, and every job ends exactly once")
  @IO func killedWorker() async throws {
    try await PipelineBench.run { bench in
      try await bench.serveMiners(["honest", "honest", "honest"])
      try bench.produce(periodSeconds: 10, periods: 1)
      let victim = try bench.work("victim")
      let period = try await bench.period()
      let task = try #require(period.tasks.first { $0.shape == .chat && $0.weight > 0 })
      let prompt = Array(#"{"messages":[{"role":"user","content":"Say something"}],"max_tokens":100}"#.utf8)
      var organics: [String] = []
      var left: [String] = []
      // It is killed while it runs jobs of both kinds.
      try await bench.until {
        left = try await bench.held(by: victim)
        if !left.contains(where: { $0.hasPrefix("o") }) {
          organics.append("o\(organics.count)")
          _ = try await bench.queue.submit(id: organics.last ?? "", task: task.name, payload: prompt)
        }
        return left.contains { $0.hasPrefix("s:") } && left.contains { $0.hasPrefix("o") }
      }
      victim.signal(SIGKILL)
      #expect(await victim.waitForExit() == .signalled(SIGKILL))
      try bench.work("survivor")
      try await bench.until { try await bench.queue.openPeriods().isEmpty }
      let ledger = try await bench.ledger()
      var settled = DemoLedger()
      for entry in ledger { settled.note(entry, period.id) }
      #expect(settled.settled.count == period.plannedCount && period.plannedCount > 0)
      #expect(settled.settled.values.allSatisfy { $0 == 1 })
      try await expectOneEnd(of: organics, bench)
      let ended = Set(settled.settled.keys.map(\.description)).union(organics)
      #expect(Set(left).subtracting(ended) == [], "what the killed worker held has ended")
      // A user's request has one good attempt, or was interrupted, or neither; never two of them.
      let served = ledger.compactMap { entry -> String? in
        switch entry {
        case .attempt(let attempt): attempt.kind == .organic && attempt.outcome == .ok ? attempt.job : nil
        case .dead(let dead): dead.job
        default: nil
        }
      }
      #expect(Set(served).count == served.count && !served.isEmpty)
    }
  }

  /// Waits until each user's request ended, and expects that its reply says so once.
  @IO private func expectOneEnd(of organics: [String], _ bench: PipelineBench) async throws {
    for id in organics {
      func ends() async throws -> Int {
        let reply = try await bench.queue.redis.send("XRANGE", bench.queue.keys.reply(id), "-", "+")
        return (reply.elements ?? []).count { $0[1]?.fields?["end"] != nil }
      }
      try await bench.until { try await ends() > 0 }
      #expect(try await ends() == 1, "\(id)")
    }
  }

  @Test("vision submit prints what a live worker streams from a miner, and refuses a task that nobody knows")
  @IO func submit() async throws {
    try await PipelineBench.run { bench in
      try await bench.serveMiners(["honest", "honest"])
      try bench.produce(periodSeconds: 600)
      try bench.work("worker")
      let period = try await bench.period()
      let task = try #require(period.tasks.first { $0.shape == .chat && $0.weight > 0 })
      func vision(_ words: String...) async throws -> BuiltProgram.Outcome {
        try await BuiltProgram("vision").run(["submit"] + words, adding: bench.environment(of: "vision"))
      }
      let answer = try await vision("--task", task.name, "--id", "u1", "Say hello")
      #expect(answer.code == 0 && answer.errors == "")
      let lines = try await vision("--task", task.name, "--id", "u1", "--json", "Say hello")
      #expect(lines.code == 0)
      let entries = try lines.output.split(separator: "\n").map { try JSON(parsing: Data($0.utf8)) }
      #expect(entries.count > 2 && entries.last?["end"]?.text == "done")
      #expect(entries.dropLast().enumerated().allSatisfy { $1["n"]?.text == String($0 + 1) })
      #expect(answer.output.count > 10)
      let attempts = try await bench.ledger().compactMap { entry -> AttemptEntry? in
        guard case .attempt(let attempt) = entry, attempt.job == "u1" else { return nil }
        return attempt
      }
      #expect(attempts.filter { $0.outcome == .ok }.count == 1)
      let unknown = try await vision("--task", "chart", "Say hello")
      #expect(unknown.code == 2 && unknown.output == "")
      #expect(unknown.errors.hasPrefix("vision submit: refused: unknown_task; the tasks are "))
      #expect(unknown.errors.split(separator: "\n").count == 1)
    }
  }

  @Test("two producers, two aggregators and five workers at once make one plan and one fold")
  @IO func many() async throws {
    try await PipelineBench.run { bench in
      try await bench.serveMiners(["honest", "honest", "honest"])
      for name in ["producer-1", "producer-2"] { try bench.produce(name, periodSeconds: 10) }
      for name in ["aggregator-1", "aggregator-2"] {
        let output = bench.file(name + ".json")
        try bench.start(name, "vision-aggregator", ["--weights-file", output])
      }
      for number in 1...5 { try bench.work("worker-\(number)") }
      let period = try await bench.period()
      func meta() async throws -> [String: String] {
        try await bench.queue.redis.send("HGETALL", bench.queue.keys.fixed(.weightsMeta)).fields ?? [:]
      }
      try await bench.until { try await meta()["period"] == period.id.description }
      let ledger = try await bench.ledger()
      var settled = DemoLedger()
      for entry in ledger { settled.note(entry, period.id) }
      #expect(settled.settled.count == period.plannedCount && period.plannedCount > 0)
      #expect(settled.settled.values.allSatisfy { $0 == 1 })
      // The next period may have begun.
      let opened = ledger.compactMap { if case .opened(let snapshot) = $0 { snapshot.id } else { nil } }
      let closed = ledger.compactMap { if case .closed(let id) = $0 { id } else { nil } }
      #expect(opened.first == period.id && Set(opened).count == opened.count)
      #expect(closed == [period.id])
      let meta = try await meta()
      #expect(meta["duplicates"] == "0" && meta["missing"] == "0")
      #expect(meta["planned"] == String(period.plannedCount))
      let history = try await bench.queue.redis.send("LLEN", bench.queue.keys.fixed(.weightsHistory))
      #expect(history.int == 1)
    }
  }

  @Test(
    "a producer that is killed between two chunks of a plan: the next one completes it, with nothing twice")
  @IO func killedProducer() async throws {
    // The plan of a day has hundreds of chunks; should a kill come too late all the same, it is tried again.
    for _ in 1...5 where try await killInMidPlan() { return }
    Issue.record("no kill came before the plan's end")
  }

  /// False when the plan was complete before the kill.
  @IO private func killInMidPlan() async throws -> Bool {
    var wasInTime = false
    try await PipelineBench.run { bench in
      try await bench.serveMiners(["honest", "honest", "honest", "honest"])
      let first = try bench.produce("first", periodSeconds: 86_400)
      // Without a pause: between any two chunks there is room for a look.
      var next = 0
      while next == 0 {
        try #require(first.status == nil)
        guard let id = try await bench.queue.openPeriods().first else { continue }
        next = try await bench.queue.periodRecord(id)?.nextChunk ?? 0
      }
      first.signal(SIGKILL)
      #expect(await first.waitForExit() == .signalled(SIGKILL))
      let snapshot = try await bench.period()
      let stored = try #require(try await bench.queue.storedPlan(snapshot.id))
      let plan = try Planner.plan(snapshot, seed: stored.seed)
      let left = try #require(try await bench.queue.periodRecord(snapshot.id))
      guard left.nextChunk < plan.chunkCount else { return }
      wasInTime = true
      #expect(left.nextChunk > 0 && left.state == "planning")
      try bench.produce("second", periodSeconds: 86_400)
      try await bench.until { try await bench.queue.periodRecord(snapshot.id)?.state == "open" }
      let record = try #require(try await bench.queue.periodRecord(snapshot.id))
      #expect(record.scheduled == snapshot.plannedCount && record.planned == snapshot.plannedCount)
      #expect(record.nextChunk == plan.chunkCount)
      let due = try await bench.queue.redis.send(
        "ZRANGE", bench.queue.keys.fixed(.due), "0", "-1", "WITHSCORES")
      let expected = (0..<plan.chunkCount).flatMap { plan.chunk($0).jobs }
      #expect(due.elements?.count == expected.count * 2)
      let times = (due.fields ?? [:]).compactMapValues { Int($0) }
      #expect(times == Dictionary(expected.map { ($0.id, $0.dueMilliseconds) }) { $1 })
      #expect(try await bench.queue.openPeriods() == [snapshot.id])
    }
    return wasInTime
  }
}
