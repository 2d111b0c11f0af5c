import TestSupport
import Testing

@testable import Common

@Suite("What the queue promises of periods")
struct QueuePeriodTests {
  @Test("a thousand overdue queries keep their pace")
  @IO func noBurst() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[1_000]], lengthMilliseconds: 100_000, rate: 10, burst: 20)
      try await bench.pass(90_000)
      let first = try await bench.claim(synthetics: 100)
      #expect(first.grants.count == 20)
      #expect(first.nextDueMilliseconds == bench.now + 100, "a tenth of a second for each")
      #expect(try await bench.marker(.wakeDue) == bench.now + 100)
      #expect(try await bench.claim(synthetics: 100).grants.isEmpty)
      try await bench.pass(1_000)
      #expect(try await bench.claim(synthetics: 100).grants.count == 10)
    }
  }

  @Test("work done for users counts against what is tested of a miner")
  @IO func volume() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(
        counts: [[3, 1]], lengthMilliseconds: 3_000,
        volumes: [("test:chat:0", 2_000), ("test:chat:1", 2_000)])
      try await bench.submit("a")
      let grants = try await bench.claim(synthetics: 1).grants
      for grant in grants { _ = try await bench.queue.settle([bench.end(grant, period: snapshot.id)]) }
      try await bench.pass(2_000)
      let rest = try await bench.claim()
      #expect(rest.grants.map(\.id) == ["s:\(snapshot.id):chat:1:0"], "the other miner has room")
      #expect(try await bench.queue.periodRecord(snapshot.id)?.settled["skipped"] == 2)
      #expect(
        try await bench.ledger().filter {
          if case .skipped(let skip) = $0 { skip.reason == .volume } else { false }
        }.count == 2)
    }
  }

  @Test("a miner that left is not queried any more")
  @IO func deregistered() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[1, 1]])
      #expect(try await bench.queue.deregister(leader: "p", period: snapshot.id, miners: [0]) == 1)
      #expect(try await bench.queue.deregister(leader: "other", period: snapshot.id, miners: [1]) == nil)
      #expect(try await bench.claim().grants.map(\.id) == ["s:\(snapshot.id):chat:1:0"])
      let unknown = PeriodID(startSeconds: 1)
      #expect(try await bench.queue.deregister(leader: "p", period: unknown, miners: [0]) == 0)
      #expect(try await bench.queue.redis.send("EXISTS", bench.queue.keys.volume(unknown)).int == 0)
    }
  }

  @Test("after the end of its period no query is sent")
  @IO func expiredAtClaim() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[2]])
      try await bench.pass(600_000)
      #expect(try await bench.claim().grants.isEmpty)
      #expect(try await bench.queue.periodRecord(snapshot.id)?.settled["expired"] == 2)
    }
  }

  @Test("a period closes once all is settled, or when its time is up")
  @IO func close() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[3]])
      let grant = try #require(try await bench.claim(synthetics: 1).grants.first)
      #expect(try await bench.queue.sweep(leader: "p", period: snapshot.id) == 0, "not before the end")
      try await bench.pass(600_000)
      #expect(try await bench.queue.sweep(leader: "late", period: snapshot.id) == nil)
      #expect(try await bench.queue.sweep(leader: "p", period: snapshot.id) == 2)
      func close(_ isForced: Bool) async throws -> JobQueue.CloseResult {
        try await bench.queue.closePeriod(
          leader: "p", period: snapshot.id, isForced: isForced, keepSeconds: 60)
      }
      #expect(try await close(false) == .open(unsettled: 1))
      #expect(try await close(true) == .closed)
      #expect(try await close(true) == .closed)
      #expect(try await bench.ledger().filter { $0 == .closed(snapshot.id) }.count == 1)
      #expect(try await bench.queue.settle([bench.end(grant)]) == [.ok], "a late answer is recorded")
      let more = try await bench.queue.schedule(
        leader: "p", period: snapshot.id, chunk: 1, isLast: true, volumes: [], jobs: [])
      #expect(more == .unknown, "a closed period takes no more")
      #expect(try await bench.queue.periodRecord(snapshot.id)?.state == "closed")
    }
  }

  @Test("a query that comes back after its period is settled at once, so that the period can close")
  @IO func backTooLate() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[3]], lengthMilliseconds: 3_000)
      try await bench.pass(2_500)
      let grants = try await bench.claim(synthetics: 3).grants
      try #require(grants.count == 3)
      let released = try await bench.queue.release([(grants[0].id, grants[0].token, bench.now + 1_000)])
      #expect(released == [.ok])
      try await bench.pass(15_000)
      try await bench.recover()
      let record = try await bench.queue.periodRecord(snapshot.id)
      #expect(record?.settled["expired"] == 3)
      let closed = try await bench.queue.closePeriod(
        leader: "p", period: snapshot.id, isForced: false, keepSeconds: 60)
      #expect(closed == .closed)
    }
  }

  @Test("events after a period's record is gone do not bring it back")
  @IO func lateEvents() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[2]], lengthMilliseconds: 1_000)
      let running = try #require(try await bench.claim(synthetics: 1).grants.first)
      try await bench.submit("a")
      let organic = try #require(try await bench.claim(synthetics: 0).grants.first)
      try await bench.pass(1_000)
      _ = try await bench.queue.closePeriod(
        leader: "p", period: snapshot.id, isForced: true, keepSeconds: 60)
      let keys = [bench.queue.keys.period(snapshot.id), bench.queue.keys.volume(snapshot.id)]
      #expect(
        try await bench.queue.settle([bench.end(organic, period: snapshot.id)]) == [.ok])
      #expect(try await bench.queue.redis.send("PTTL", keys[1]).int ?? -1 > 0)
      _ = try await bench.queue.redis.send("DEL", keys[0], keys[1])
      #expect(try await bench.queue.settle([bench.end(running)]) == [.ok])
      #expect(try await bench.claim().grants.isEmpty)
      #expect(try await bench.queue.redis.send("EXISTS", keys[0], keys[1]).int == 0)
    }
  }

  @Test("planning twice schedules once, and only the leader plans")
  @IO func planningTwice() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[2]])
      let again = try await bench.queue.schedule(
        leader: "p", period: snapshot.id, chunk: 0, isLast: true, volumes: [],
        jobs: [(bench.now, "s:\(snapshot.id):chat:0:0")])
      #expect(again == .next(1))
      #expect(try await bench.send("ZCARD", .due).int == 2)
      #expect(try await bench.queue.lead(role: "producer", token: "q", lifeMilliseconds: 9) == false)
      let other = try await bench.queue.openPeriod(
        leader: "q", snapshot: snapshot, encoded: [], seed: 2, pacePerSecond: 1, burst: 1)
      #expect(other == nil)
      let known = try await bench.queue.openPeriod(
        leader: "p", snapshot: snapshot, encoded: [], seed: 2, pacePerSecond: 1, burst: 1)
      #expect(known?.isNew == false && known?.seed == 1, "the first plan and seed win")
    }
  }

  @Test("a pace of nothing is slow, not a division by zero")
  @IO func noPace() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[3]], lengthMilliseconds: 3, rate: 0, burst: 0)
      try await bench.pass(2)
      let claimed = try await bench.claim()
      #expect(claimed.grants.count == 1)
      #expect(try #require(claimed.nextDueMilliseconds) > bench.now)
    }
  }
}
