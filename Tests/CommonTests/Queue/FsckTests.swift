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
      let snapshot = try await bench.plan(counts: [[4, 4]], lengthMilliseconds: 4_000)
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

  @Test("finds what was damaged by hand")
  @IO func damage() async throws {
    let damages: [(words: [String], kind: FsckReport.Kind)] = [
      (["DEL", "job:waits"], .noRecord),
      (["DEL", "job:runs"], .noRecord),
      (["ZREM", "lease", "runs"], .misplaced),
      (["ZREM", "organic", "waits"], .misplaced),
      (["ZADD", "organic", "9", "runs"], .misplaced),
      (["ZADD", "dead", "9", "done"], .misplaced),
      (["HSET", "job:waits", "state", "running"], .misplaced),
      (["HSET", "job:waits", "state", "odd"], .damaged),
      (["HDEL", "job:runs", "token"], .noToken),
      (["PERSIST", "job:done"], .lifetime),
      (["EXPIRE", "job:waits", "99"], .lifetime),
      (["PERSIST", "reply:done"], .lifetime),
      (["PERSIST", "worker:w"], .lifetime),
      (["DEL", "payload:waits"], .body),
      (["SET", "payload:done", "x"], .body),
      (["SET", "payload:nobody", "x"], .noRecord),
      (["SET", "answer:nobody", "x"], .noRecord),
      (["ZADD", "organic:deadline", "9", "runs"], .deadline),
      (["ZADD", "due", "9", "nonsense"], .damaged),
      (["XADD", "reply:runs", "*", "n", "4", "data", "x"], .reply),
      (["XADD", "reply:done", "*", "n", "1", "data", "x"], .reply),
      (["XADD", "reply:done", "*", "end", "done"], .reply),
      (["XADD", "reply:runs", "*", "end", "done"], .reply),
      (["DEL", "reply:done"], .reply),
      (["HINCRBY", "checks", "bytes", "1"], .counter),
      (["HINCRBY", "checks", "waiting:chat", "1"], .counter),
      (["HINCRBY", "counts", "attempt", "1"], .counter),
      (["SET", "dead:bytes", "1"], .counter),
      (["HINCRBY", "period:P", "scheduled", "-1"], .period),
      (["HINCRBY", "period:P", "done", "1"], .period),
      (["HINCRBY", "period:P", "planned", "1"], .period),
      (["ZREM", "periods", "P"], .period),
      (["DEL", "period:P"], .period),
      (["ZREM", "due", "s:P:chat:1:3"], .period),
      (["XADD", "ledger", "*", "v", "1", "type", "odd"], .ledger),
      (
        ["XADD", "ledger", "*", "v", "1", "type", "skip", "job", "s:P:chat:0:0", "reason", "volume"], .ledger
      ),
      (
        ["XADD", "ledger", "*", "v", "1", "type", "skip", "job", "s:P:chat:0:9", "reason", "volume"], .ledger
      ),
      (["EXPIRE", "period:P", "99"], .lifetime),
    ]
    for damage in damages {
      try await populated { bench, period in
        var words = damage.words.map {
          $0.replacing("P", with: $0.contains(":P") || $0 == "P" ? "\(period)" : "P")
        }
        words[0] = damage.words[0]
        words[1] = bench.queue.keys.prefix + words[1]
        _ = try await bench.queue.redis.send(RedisCommand(words: words))
        let report = try await Fsck(bench.queue).run()
        #expect(report.problems.contains { $0.kind == damage.kind }, "\(damage.words) gave \(report.lines)")
      }
    }
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
    for index in 0...FsckReport.problemsMax { report.add(.counter, "\(index)", "off by 1") }
    #expect(report.problems.count == FsckReport.problemsMax && report.furtherCount == 1)
    #expect(report.lines.last == "and 1 more" && !report.isClean)
  }
}
