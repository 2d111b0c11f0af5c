import Testing
import TestSupport

@testable import Common

@Suite("The queue's scripts")
struct QueueTests {
  static let tasks = ["chat"]

  @IO func submit(_ queue: JobQueue, _ id: String, allowed: Int = 0) async throws -> SubmitResult {
    _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    return try await queue.submit(
      id: id, task: "chat", payload: Array("{}".utf8), allowedMilliseconds: allowed)
  }

  @IO func claim(
    _ queue: JobQueue, request: Int = 1, worker: String = "w", organics: Int = 10, synthetics: Int = 10
  ) async throws -> ClaimResult {
    try await queue.claim(
      worker: worker, request: request, nonce: "\(worker)\(request)", organicMax: organics,
      syntheticMax: synthetics, organicLeaseMilliseconds: 6_000, syntheticLeaseMilliseconds: 15_000)
  }

  @Test("every script's header names keys that exist")
  func headers() {
    for script in Script.allCases { #expect(!script.keys.isEmpty, "\(script.rawValue)") }
  }

  @Test("an organic is created once, claimed in order and known after it ended")
  @IO func organicLife() async throws {
    try await TestRedis.withQueue { queue in
      #expect(try await submit(queue, "a") == .created)
      #expect(try await submit(queue, "b") == .created)
      #expect(try await submit(queue, "a") == .duplicate(state: "waiting"))
      #expect(try await submit(queue, "not:allowed") == .refused(reason: "bad_id"))
      let first = try await claim(queue, organics: 1)
      #expect(first.grants.map(\.id) == ["a"])
      let again = try await claim(queue, organics: 1)
      #expect(again.grants == first.grants, "a repeated request grants the same")
      let second = try await claim(queue, request: 2)
      #expect(second.grants.map(\.id) == ["b"])
      let grant = try #require(first.grants.first)
      let pieces: [[UInt8]] = [Array("x".utf8), Array("y".utf8)]
      for _ in 0..<2 {
        #expect(try await queue.append("a", grant.token, pieces) == [:])
      }
      let length = try await queue.redis.send("XLEN", queue.keys.reply("a"))
      #expect(length.int == 2, "a repeated append writes nothing twice")
      let end = Settlement(
        id: "a", token: grant.token, state: .done, attempts: [], last: [("end", "done")])
      #expect(try await queue.settle([end]) == [.ok])
      #expect(try await queue.settle([end]) == [.lost])
      #expect(try await submit(queue, "a") == .duplicate(state: "done"))
    }
  }

  @Test("a damaged record keeps nobody else's job from being claimed, at once and when the claim is repeated")
  @IO func damagedClaim() async throws {
    try await TestRedis.withQueue { queue in
      for id in ["a", "b", "c"] { #expect(try await submit(queue, id) == .created) }
      _ = try await queue.redis.send("HDEL", queue.keys.job("b"), "task", "deadline", "stream")
      _ = try await queue.redis.send("UNLINK", queue.keys.payload("b"))
      let claimed = try await claim(queue).grants
      #expect(claimed.map(\.id) == ["a", "b", "c"])
      #expect(claimed.map(\.task) == ["chat", "", "chat"])
      #expect(claimed.map(\.payload.isEmpty) == [false, true, false])
      _ = try await queue.redis.send("HDEL", queue.keys.job("b"), "kind")
      #expect(try await claim(queue).grants == claimed)
      _ = try await queue.redis.send("SET", queue.keys.job("b"), "x")
      #expect(try await claim(queue).grants == [claimed[0], claimed[2]])
    }
  }

  @Test("a lease that ran out is taken back without burning an attempt, and the old token is worthless")
  @IO func recovery() async throws {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      try await TestRedis.setClock(queue, 1_000_000)
      _ = try await submit(queue, "a")
      let grant = try await claim(queue).grants[0]
      try await TestRedis.setClock(queue, 1_006_001)
      let pass = try await queue.recover(pauseMilliseconds: 1)
      #expect(pass == .init(takenBack: 1, dead: 0, interrupted: 0, isPartial: false))
      let end = Settlement(id: "a", token: grant.token, state: .done, attempts: [])
      #expect(try await queue.settle([end]) == [.lost])
      let next = try await claim(queue, request: 2, worker: "v").grants[0]
      #expect(next.id == "a" && next.token != grant.token)
    }
  }
}
