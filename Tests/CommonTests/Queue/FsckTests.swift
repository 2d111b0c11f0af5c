import TestSupport
import Testing

@testable import Common

@Suite("The checker of the queue")
struct FsckTests {
  /// A queue with a job of every kind in every place.
  @IO func populated(_ body: @IO (QueueBench, PeriodID) async throws -> Void) async throws {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      let bench = QueueBench(queue)
      try await bench.pass(0)
      try await bench.send("HSET", .tasks, "chat", "{}")
      let snapshot = try await bench.plan(counts: [[4, 4]], lengthMilliseconds: 400_000)
      try await bench.submit("done", "runs", allowed: 90_000)
      let grants = try await bench.claim(synthetics: 2).grants
      try #require(grants.count == 4)
      try await bench.submit("waits", allowed: 90_000)
      let sample = Sample(waitingMax: 9, bytesMax: 99, answer: [1, 2])
      #expect(try await queue.settle([bench.end(grants[0], sample: sample)]) == [.ok])
      #expect(try await queue.settle([bench.end(grants[2])]) == [.ok])
      _ = try await queue.append("runs", grants[1].token, [[65], [66]])
      let clean = try await Fsck(queue).run()
      #expect(clean.isClean, "\(clean.lines)")
      #expect(clean.counts["organic"] == 1 && clean.counts["lease"] == 2 && clean.counts["check"] == 1)
      try await body(bench, snapshot.id)
    }
  }

  @Test("finds what was damaged by hand, repairs it, and loses nothing", arguments: Damage.all)
  @IO func damage(_ damage: Damage) async throws {
    try await populated { bench, period in
      try await damage.make(bench, period)
      let report = try await Fsck(bench.queue).run()
      #expect(report.problems.contains { $0.kind == damage.kind }, "\(damage.words) gave \(report.lines)")
      let outcome = try await FsckRepair(bench.queue).run()
      let told = "\(damage.words): \(outcome.lines) then \(outcome.report.lines)"
      #expect(outcome.report.isClean && !outcome.lines.isEmpty, "\(told)")
      try await drain(bench, period)
      let after = try await Fsck(bench.queue).run()
      #expect(after.isClean, "\(told) drained \(after.lines)")
      for id in ["done", "runs", "waits"] {
        let ends = try await bench.reply(id).compactMap { $0["end"] }
        #expect(ends.count == 1, "\(id) \(ends) \(told)")
      }
      guard damage.keepsPlan else { return }
      var settled: [String: Int] = [:]
      for entry in try await bench.ledger() {
        switch entry {
        case .attempt(let attempt) where attempt.settles: settled[attempt.job, default: 0] += 1
        case .skipped(let skip): settled[skip.job.description, default: 0] += 1
        default: break
        }
      }
      let planned = (0..<8).map { "s:\(period):chat:\($0 % 2):\($0 / 2)" }
      #expect(planned.map { settled[$0] ?? 0 } == [Int](repeating: 1, count: 8), "\(told)")
    }
  }

  /// Runs all that waits to its end, as workers would, and closes the period.
  @IO private func drain(_ bench: QueueBench, _ period: PeriodID) async throws {
    for _ in 0..<4 {
      try await bench.pass(16_000)
      try await bench.recover()
      for grant in try await bench.claim("late").grants {
        #expect(try await bench.queue.settle([bench.end(grant, period: period)]) == [.ok])
      }
      while let grant = try await bench.claimCheck("late") {
        _ = try await bench.queue.settleCheck(id: grant.id, token: grant.token, state: .judged, score: 1)
      }
    }
    try await bench.pass(400_000)
    #expect(try await bench.queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000))
    _ = try await bench.queue.sweep(leader: "p", period: period)
  }

  @Test("reports a problem of a live queue only when it stays")
  @IO func live() async throws {
    try await populated { bench, _ in
      try await bench.send("ZREM", .lease, "runs")
      let broken = try await Fsck(bench.queue, isLive: true).run()
      #expect(broken.problems.map(\.kind) == [.misplaced])
      let check = Task { @IO in try await Fsck(bench.queue, isLive: true).run() }
      // Mended between the two looks: the second starts a pause later.
      await EventLoop.shared.sleep(milliseconds: Fsck.pauseMilliseconds / 2)
      try await bench.send("ZADD", .lease, "9", "runs")
      #expect(try await check.value.isClean)
    }
  }

  @Test("keeps a bounded list of problems")
  func bounded() {
    var report = FsckReport()
    for index in 0...FsckReport.problemsMax { report.add(.counter, job: "\(index)", "off by 1") }
    #expect(report.problems.count == FsckReport.problemsMax && report.furtherCount == 1)
    #expect(report.lines.last == "and 1 more" && !report.isClean)
  }
}
