import Common
import Foundation
import TestSupport
import Testing

@testable import Producer

@Suite("The producer")
struct ProducerServiceTests {
  @Test("opens a period at the next whole second and schedules exactly its plan")
  @IO func opening() async throws {
    try await Bench.with { bench in
      let pass = try await bench.producer().runOnce()
      #expect(pass.isLeader && pass.closed.isEmpty)
      #expect(pass.opened == PeriodID(startSeconds: 1_700_000_001))
      let (id, snapshot, plan) = try await bench.onlyPeriod()
      #expect(plan.queries.count > 100 && pass.chunks == plan.chunkCount)
      #expect(try await bench.due() == bench.expected(plan))
      let record = try #require(try await bench.queue.periodRecord(id))
      #expect(record.state == "open" && record.scheduled == record.planned)
      #expect(record.planned == snapshot.plannedCount)
      #expect(try await bench.ledger() == ["opened"])
      let volumes = try await bench.queue.redis.send("HGETALL", bench.queue.keys.volume(id)).fields
      #expect(volumes?.count == plan.volumes.count)
      let tasks = try await bench.queue.redis.send("HGETALL", bench.queue.keys.fixed(.tasks)).fields
      #expect(tasks?.keys.sorted() == ["chat-a", "chat-b"])
      #expect(tasks?["chat-a"]?.contains(#""kind":"text""#) == true)
    }
  }

  @Test("opens one period when two run at once")
  @IO func two() async throws {
    try await Bench.with { bench in
      let producers = try [bench.producer(), bench.producer()]
      try await withThrowingTaskGroup(of: Void.self) { group in
        for producer in producers {
          group.addTask { for _ in 0..<4 { _ = try await producer.runOnce(chunksMax: 2) } }
        }
        try await group.waitForAll()
      }
      while try await producers[0].runOnce().chunks + producers[1].runOnce().chunks > 0 {}
      let (_, _, plan) = try await bench.onlyPeriod()
      #expect(try await bench.due() == bench.expected(plan))
      #expect(try await bench.ledger() == ["opened"])
      #expect(bench.asked == 1)
    }
  }

  @Test("continues between any two chunks where another one stopped, and nothing is planned twice")
  @IO func takeover() async throws {
    try await Bench.with(miners: 30) { bench in
      var producers = 0
      var open = false
      while !open {
        // Each one stops for good after a chunk; the next one is another process.
        _ = try await bench.producer().runOnce(chunksMax: 1)
        try await bench.endLease()
        producers += 1
        let id = try #require(try await bench.queue.openPeriods().first)
        open = try await bench.queue.periodRecord(id)?.state == "open"
      }
      let (_, _, plan) = try await bench.onlyPeriod()
      #expect(producers == plan.chunkCount && plan.chunkCount > 5)
      #expect(try await bench.due() == bench.expected(plan))
      #expect(try await bench.ledger() == ["opened"])
    }
  }

  @Test("writes nothing more once another one leads, even if it has not noticed")
  @IO func deposed() async throws {
    try await Bench.with(miners: 30) { bench in
      let (old, new) = (try bench.producer(), try bench.producer())
      _ = try await old.runOnce(chunksMax: 1)
      try await bench.endLease()
      #expect(try await new.role.renew())
      #expect(old.role.isHeld, "it cannot know")
      let before = try await bench.due()
      let pass = try await old.runOnce()
      #expect(!pass.isLeader && pass.chunks == 0)
      #expect(try await bench.due() == before)
      #expect(try await old.runOnce() == ProducerService.Pass())
      #expect(try await new.runOnce().chunks > 0)
      let (_, _, plan) = try await bench.onlyPeriod()
      #expect(try await bench.due() == bench.expected(plan))
    }
  }

  @Test("prepares the next period before the latest one ends, so that it begins where that one ends")
  @IO func succession() async throws {
    try await Bench.with { bench in
      let producer = try bench.producer()
      let first = try #require(try await producer.runOnce().opened)
      let end = (first.startSeconds + 600) * 1000
      try await bench.setClock(end - 15_001)
      let early = try await producer.runOnce()
      #expect(early.opened == nil && early.waitMilliseconds == 1)
      try await bench.setClock(end - 15_000)
      #expect(try await producer.runOnce().opened == PeriodID(startSeconds: first.startSeconds + 600))
      #expect(try await producer.runOnce().opened == nil)
    }
  }

  @Test("sweeps and closes a period after its end, and waits for answers only as long as they may take")
  @IO func closing() async throws {
    try await Bench.with { bench in
      let producer = try bench.producer(periodsMax: 1)
      let id = try #require(try await producer.runOnce().opened)
      let end = (id.startSeconds + 600) * 1000
      try await bench.setClock(end - 1)
      let claim = try await bench.queue.claim(
        worker: "w", request: 1, nonce: "n", organicMax: 3, syntheticMax: 3, organicLeaseMilliseconds: 6_000,
        syntheticLeaseMilliseconds: 15_000)
      #expect(claim.grants.count == 3)
      try await bench.setClock(end)
      #expect(try await producer.runOnce().closed.isEmpty)
      #expect(try await bench.due().isEmpty, "swept")
      try await bench.setClock(end + 30_000 + 15_000 - 1)
      #expect(try await producer.runOnce().closed.isEmpty)
      try await bench.setClock(end + 30_000 + 15_000)
      #expect(try await producer.runOnce().closed == [id])
      let record = try #require(try await bench.queue.periodRecord(id))
      #expect(record.state == "closed" && record.settledCount == record.planned - 3)
      #expect(try await bench.ledger().last == "closed")
      #expect(try await producer.runOnce() == .init(isLeader: true), "one period was wanted")
    }
  }

  @Test("closes a period at once when nothing of it is under way, and opens the next")
  @IO func outage() async throws {
    try await Bench.with { bench in
      let id = try #require(try await bench.producer().runOnce(chunksMax: 3).opened)
      try await bench.endLease()
      // A producer comes back long after the period's end: what was not scheduled never is.
      let now = (id.startSeconds + 10_000) * 1000
      try await bench.setClock(now)
      let pass = try await bench.producer().runOnce()
      #expect(pass.closed == [id])
      #expect(pass.opened == PeriodID(startSeconds: id.startSeconds + 10_000))
      #expect(try await bench.queue.periodRecord(id)?.state == "closed")
      let (_, _, plan) = try await bench.onlyPeriod()
      #expect(try await bench.due() == bench.expected(plan))
    }
  }

  @Test("opens nothing from an empty roster, without an answer, without a claim or for another validator")
  @IO func nothing() async throws {
    try await Bench.with(miners: 0) { bench in
      #expect(try await bench.producer().runOnce() == .init(isLeader: true))
      try await bench.endLease()
      try bench.writeRoster(Fixture.miners(3))
      bench.claim = nil
      #expect(try await bench.producer().runOnce() == .init(isLeader: true))
      try await bench.endLease()
      bench.claim = 0
      #expect(try await bench.producer().runOnce() == .init(isLeader: true))
      try await bench.endLease()
      bench.claim = 100
      let foreign = try Fixture.config(validator: "somebody-else")
      #expect(try await bench.producer(config: foreign).runOnce() == .init(isLeader: true))
      #expect(try await bench.queue.openPeriods().isEmpty)
      #expect(try await bench.ledger().isEmpty)
      try await bench.endLease()
      #expect(try await bench.producer().runOnce().opened != nil)
    }
  }

  @Test("has the queries of a miner that left skipped")
  @IO func leaving() async throws {
    try await Bench.with(miners: 2) { bench in
      let producer = try bench.producer()
      let id = try #require(try await producer.runOnce().opened)
      try bench.writeRoster(Array(Fixture.miners(2).dropFirst()))
      _ = try await producer.runOnce()
      try await bench.setClock((id.startSeconds + 599) * 1000)
      var granted: [Int] = []
      for request in 1...10 {
        let claim = try await bench.queue.claim(
          worker: "w", request: request, nonce: "n\(request)", organicMax: 100, syntheticMax: 100,
          organicLeaseMilliseconds: 6_000, syntheticLeaseMilliseconds: 15_000)
        granted += claim.grants.compactMap { SyntheticJob(id: $0.id)?.miner }
      }
      #expect(!granted.isEmpty && granted.allSatisfy { $0 == 1 })
      #expect(try await bench.queue.periodRecord(id)?.settled["skipped"] ?? 0 > 0)
    }
  }

  @Test("sweeps and closes a period whose record it cannot read, and goes on")
  @IO func unreadable() async throws {
    try await Bench.with { bench in
      let id = try #require(try await bench.producer().runOnce().opened)
      try await bench.endLease()
      _ = try await bench.queue.redis.send("HSET", bench.queue.keys.period(id), "snapshot", "{")
      let producer = try bench.producer()
      #expect(try await producer.runOnce().isLeader)
      try await bench.setClock((id.startSeconds + 2_000) * 1000)
      let pass = try await producer.runOnce()
      #expect(pass.closed == [id] && pass.opened != nil)
    }
  }

  @Test("gives its role back when it is stopped")
  @IO func stopping() async throws {
    try await Bench.with { bench in
      let (scheduled, stopping) = (Signal(), Signal())
      let log = Log(now: { 0 }) { line in
        guard String(decoding: line, as: UTF8.self).contains("period scheduled") else { return }
        Task { @IO in scheduled.fire() }
      }
      let producer = try bench.producer(log: log)
      let run = Task { @IO in await producer.run(until: stopping) }
      await scheduled.wait()
      #expect(try await bench.queue.redis.send("EXISTS", bench.queue.keys.leader("producer")).int == 1)
      stopping.fire()
      await run.value
      #expect(try await bench.queue.redis.send("EXISTS", bench.queue.keys.leader("producer")).int == 0)
    }
  }
}
