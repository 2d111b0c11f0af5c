import TestSupport
import Testing

@testable import Common

@Suite("What the queue promises of checks")
struct QueueCheckTests {
  /// Ends one organic whose answer of `bytes` is offered for checking.
  @IO func offer(_ bench: QueueBench, _ id: String, bytes: Int = 1, waitingMax: Int = 9) async throws {
    try await bench.submit(id)
    let grant = try #require(try await bench.claim(synthetics: 0).grants.first)
    let sample = Sample(
      waitingMax: waitingMax, bytesMax: 100, answer: [UInt8](repeating: 7, count: bytes))
    #expect(try await bench.queue.settle([bench.end(grant, sample: sample)]) == [.ok])
  }

  @Test("answers beyond the caps are dropped, by count and by bytes; their outcomes never")
  @IO func caps() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a", bytes: 60)
      try await offer(bench, "b", bytes: 50)
      try await offer(bench, "c", bytes: 40)
      try await offer(bench, "d", waitingMax: 2)
      #expect(try await bench.queue.redis.send("ZCARD", bench.queue.keys.check("chat")).int == 2)
      #expect(try await bench.send("HGET", .checks, "bytes").int == 100)
      #expect(try await bench.send("HGET", .checks, "dropped").int == 2)
      #expect(try await bench.ledger().count == 4)
    }
  }

  @Test("a repeat after a lost reply leases no second answer")
  @IO func repeated() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a")
      try await offer(bench, "b")
      var ids: [String?] = []
      for _ in 0..<2 {
        ids.append(
          try await bench.queue.claimCheck(
            worker: "w", nonce: "same", leaseMilliseconds: 1_000, tasks: ["chat"])?.id)
      }
      #expect(ids[0] != nil && ids[0] == ids[1])
      #expect(try await bench.send("ZCARD", .lease).int == 1)
    }
  }

  @Test("each answer gets one verdict, and the miner with fewest is judged first")
  @IO func verdicts() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a")
      let grant = try #require(try await bench.claimCheck())
      #expect(grant.entry.job == "a" && grant.answer == [7])
      #expect(try await bench.queue.noteCheck(id: grant.id, token: grant.token, remoteID: "r", tries: 1))
      for expected in [true, false] {
        let result = try await bench.queue.settleCheck(
          id: grant.id, token: grant.token, state: .judged, score: 0.5)
        #expect(result == expected)
      }
      #expect(try await bench.ledger().filter { if case .verdict = $0 { true } else { false } }.count == 1)
      #expect(try await bench.send("TTL", .verdicts).int ?? -1 > 0, "hotkeys come and go")
      #expect(try await bench.send("HGET", .checks, "bytes").int == 0)
    }
  }

  @Test("an answer that may be checked later wakes somebody then")
  @IO func later() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a")
      let grant = try #require(try await bench.claimCheck())
      let later = bench.now + 5_000
      #expect(try await bench.queue.release([(grant.id, grant.token, later)]) == [.ok])
      try await bench.takeMarker(.wakeCheck)
      #expect(try await bench.claimCheck() == nil)
      #expect(try await bench.marker(.wakeCheck) == later)
      try await bench.pass(5_000)
      #expect(try await bench.claimCheck()?.id == grant.id)
    }
  }

  @Test("an answer that lost its bytes does not stand in the way of the next")
  @IO func lostAnswer() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a")
      try await bench.pass(1)
      try await offer(bench, "b")
      let first = try await bench.queue.redis.send("ZRANGE", bench.queue.keys.check("chat"), "0", "0")
      let id = try #require(first.elements?.first?.text)
      _ = try await bench.queue.redis.send("DEL", bench.queue.keys.answer(id))
      #expect(try await bench.claimCheck()?.entry.job == "b")
    }
  }

  @Test("a check that a server was left with is given first to whoever serves that server, until its verdict")
  @IO func begun() async throws {
    try await QueueBench.run { bench in
      func claim(_ server: String) async throws -> CheckGrant? {
        try await bench.claimCheck(server: server, tasks: ["image", "chat"])
      }
      for id in ["a", "b", "c"] {
        try await offer(bench, id)
        try await bench.pass(1)
      }
      let first = try #require(try await claim("s"))
      #expect(first.entry.job == "a")
      #expect(
        try await bench.queue.noteCheck(id: first.id, token: first.token, remoteID: "s name", tries: 1))
      #expect(try await bench.queue.release([(first.id, first.token, bench.now)]) == [.ok])
      let stranger = try #require(try await claim("t"))
      #expect(stranger.entry.job == "b", "another server knows nothing of it")
      let again = try #require(try await claim("s"))
      #expect(again.id == first.id && again.remoteID == "s name")
      let isSettled = try await bench.queue.settleCheck(
        id: again.id, token: again.token, state: .judged, score: 1)
      #expect(isSettled)
      #expect(try await bench.send("EXISTS", .checksBegun).int == 0)
      #expect(try await claim("s")?.entry.job == "c")
    }
  }

  @Test("a check that is given up frees its share of the bytes, and takes it again when revived")
  @IO func deadCheck() async throws {
    try await QueueBench.run { bench in
      try await offer(bench, "a", bytes: 90)
      let grant = try #require(try await bench.claimCheck())
      for _ in 1...3 {
        try await bench.kill()
        try await bench.pass(15_000)
        try await bench.recover()
        _ = try await bench.claimCheck()
      }
      #expect(try await bench.send("ZCARD", .dead).int == 1)
      #expect(try await bench.send("HGET", .checks, "bytes").int == 0)
      try await offer(bench, "b", bytes: 90)
      #expect(try await bench.send("HGET", .checks, "dropped").int == nil)
      #expect(try await bench.queue.revive(id: grant.id, "retry") == "retried")
      #expect(try await bench.send("HGET", .checks, "bytes").int == 180)
    }
  }
}
