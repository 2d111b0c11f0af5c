import TestSupport
import Testing

@testable import Common

@Suite("What the queue promises of jobs")
struct QueuePromiseTests {
  @Test("no query runs before it is due, by Redis's clock")
  @IO func notBeforeDue() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[2]], lengthMilliseconds: 1_000)
      #expect(try await bench.claim().grants.count == 1)
      try await bench.pass(499)
      let early = try await bench.claim()
      #expect(early.grants.isEmpty && early.nextDueMilliseconds == bench.now + 1)
      try await bench.pass(1)
      #expect(try await bench.claim().grants.count == 1)
    }
  }

  @Test("organics are served in order of admission, also after release and recovery")
  @IO func firstInFirstOut() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a", "b", "c", "d")
      let first = try await bench.claim("dies", organics: 1)
      let second = try await bench.claim("stops", organics: 1)
      try #require(first.grants.map(\.id) == ["a"] && second.grants.map(\.id) == ["b"])
      #expect(try await bench.queue.release([("b", second.grants[0].token, 0)]) == [.ok])
      try await bench.pass(6_000)
      try await bench.recover()
      let third = try await bench.claim()
      #expect(third.grants.map(\.id) == ["a", "b", "c", "d"])
      #expect(third.grants.map(\.attempt) == [2, 1, 1, 1], "handing back burns no attempt")
    }
  }

  @Test("the third worker that dies with a job is the last")
  @IO func thirdCrash() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let snapshot = try await bench.plan(counts: [[1]])
      for round in 1...3 {
        #expect(try await bench.claim().grants.count == 2, "round \(round)")
        try await bench.kill()
        try await bench.pass(15_000)
        let pass = try await bench.recover()
        #expect(pass?.dead == (round == 3 ? 2 : 0))
      }
      let dead = try await bench.ledger().filter { if case .dead = $0 { true } else { false } }
      #expect(dead.count == 2)
      let reply = try await bench.reply("a")
      #expect(reply.map { $0["end"] } == ["dead"])
      #expect(try await bench.queue.periodRecord(snapshot.id)?.settled["dead"] == 1)
      #expect(try await bench.claim().grants.isEmpty)
    }
  }

  @Test("a slow worker that still lives is not charged with a crash")
  @IO func slowIsNoCrash() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      for _ in 1...5 {
        #expect(try await bench.claim().grants.count == 1)
        try await bench.pass(6_000)
        #expect(try await bench.recover()?.takenBack == 1)
      }
    }
  }

  @Test("an organic that has content is not run again: it ends as interrupted, neutral and with its usage")
  @IO func interrupted() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let grant = try #require(try await bench.claim().grants.first)
      let pieces = [Array("x".utf8), Array("yz".utf8)]
      _ = try await bench.queue.append("a", grant.token, pieces)
      #expect(try await bench.queue.release([("a", grant.token, 0)]) == [.hasContent])
      try await bench.pass(6_000)
      #expect(try await bench.recover()?.interrupted == 1)
      let last = try await bench.reply("a").last
      #expect(last?["end"] == "interrupted" && last?["pieces"] == "2" && last?["bytes"] == "3")
      #expect(try await bench.ledger() == [.dead(.init(job: "a", kind: .organic, reason: "interrupted"))])
      #expect(try await bench.send("HGET", .usage, "|chat|requests").int == 1)
      #expect(try await bench.queue.settle([bench.end(grant)]) == [.lost])
    }
  }

  @Test("a cancel ends the reply at once, wakes the worker, and leaves the miner out of it")
  @IO func cancelRunning() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let grant = try #require(try await bench.claim().grants.first)
      #expect(try await bench.queue.cancel(id: "a") == "cancelled")
      #expect(try await bench.reply("a").map { $0["end"] } == ["cancelled"])
      let woken = try await bench.queue.redis.send("ZRANGE", bench.queue.keys.wakeWorker("w"), "0", "-1")
      #expect(woken.elements?.map(\.text) == ["a"])
      let renewed = try await bench.queue.renew(
        worker: "w", lifeMilliseconds: 1_000, record: [], jobs: [("a", grant.token, 6_000)])
      #expect(renewed.ended == ["a": .cancelled])
      let late = try await bench.queue.append("a", grant.token, [[1]])
      #expect(late == [0: .cancelled])
      #expect(try await bench.queue.settle([bench.end(grant)]) == [.cancelled])
      guard case .attempt(let entry)? = try await bench.ledger().last else {
        Issue.record("no entry for the attempt")
        return
      }
      #expect(entry.outcome == .cancelled && entry.outcome.counter == .none)
      #expect(try await bench.field("a", "state") == "cancelled")
      #expect(try await bench.reply("a").count == 1)
    }
  }

  @Test("a deadline that passes while a job waits ends it; a running job is its worker's")
  @IO func deadlines() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("runs", "waits", allowed: 1_000)
      let grant = try #require(try await bench.claim(organics: 1).grants.first)
      #expect(grant.id == "runs" && grant.deadlineMilliseconds == bench.now + 1_000)
      try await bench.pass(999)
      #expect(try await bench.queue.expire() == 0)
      try await bench.pass(1)
      #expect(try await bench.queue.expire() == 1)
      #expect(try await bench.reply("waits").map { $0["end"] } == ["expired"])
      #expect(try await bench.field("runs", "state") == "running")
    }
  }

  @Test("a marker stands wherever work waits and nobody was woken for it")
  @IO func markers() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a", "b", "c")
      for left in [true, true, false] {
        try await bench.takeMarker(.wakeOrganic)
        #expect(try await bench.claim(organics: 1).grants.count == 1)
        #expect((try await bench.marker(.wakeOrganic) != nil) == left, "one worker wakes the next")
      }
      _ = try await bench.plan(counts: [[2]], lengthMilliseconds: 1_000)
      let start = bench.now
      try await bench.takeMarker(.wakeDue)
      #expect(try await bench.claim(synthetics: 1).grants.count == 1)
      #expect(try await bench.marker(.wakeDue) == start + 500, "the marker says when the next one is due")
      try await bench.takeMarker(.wakeDue)
      try await bench.recover()
      #expect(try await bench.marker(.wakeDue) == start + 500, "a lost marker comes back before it is needed")
    }
  }

  @Test("a marker that a dead worker took comes back with the next pass, in every lane")
  @IO func lostMarkers() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a", "b")
      let grant = try #require(try await bench.claim(organics: 1).grants.first)
      let sample = Sample(waitingMax: 9, bytesMax: 99, answer: [1])
      #expect(try await bench.queue.settle([bench.end(grant, sample: sample)]) == [.ok])
      for lane in [Keys.Fixed.wakeOrganic, .wakeCheck] {
        try await bench.takeMarker(lane)
        try await bench.recover()
        #expect(try await bench.marker(lane) != nil, "\(lane.rawValue)")
      }
    }
  }

  @Test("a worker that came for a query and found users leaves the marker to others")
  @IO func markerPassedOn() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[2]], lengthMilliseconds: 1_000)
      try await bench.submit("a")
      try await bench.takeMarker(.wakeDue)
      let claimed = try await bench.claim(organics: 1)
      #expect(claimed.grants.map(\.id) == ["a"] && claimed.nextDueMilliseconds == bench.now)
      #expect(try await bench.marker(.wakeDue) == bench.now)
    }
  }

  @Test("only pausing stops claims, each class by itself")
  @IO func pausing() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      _ = try await bench.plan(counts: [[1]])
      #expect(try await bench.queue.pause("organic", true))
      #expect(try await bench.claim().grants.map(\.kind) == [.synthetic])
      #expect(try await bench.queue.pause("organic", false))
      #expect(try await bench.claim().grants.map(\.kind) == [.organic])
      await #expect(throws: RedisError.self) { try await bench.queue.pause("everything", true) }
    }
  }
}
