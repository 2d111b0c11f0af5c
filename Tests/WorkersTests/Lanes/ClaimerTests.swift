import Common
import TestSupport
import Testing

@testable import Workers

@Suite("Claiming", .timeLimit(.minutes(1)))
struct ClaimerTests {
  @Test("a worker's marker for itself does not stay when it is killed before it takes it")
  @IO func ownMarker() async throws {
    try await TestRedis.withQueue { queue in
      let listener = MarkerListener(redis: queue.redis, keys: queue.keys, worker: "w")
      await listener.ensure([.wakeDue], through: queue)
      let life = try #require(await queue.redis.send("TTL", queue.keys.wakeWorker("w")).int)
      #expect(life > 0 && life <= 60)
    }
  }

  @Test("a worker without room is no worker that hangs: it looks, claims nothing, and claims when a job ends")
  @IO func full() async throws {
    try await TestRedis.withQueue { queue in
      let claimer = Claimer(
        queue: queue, worker: "w", clock: RedisClock(), slots: Slots(total: 1, reservedShare: 0.2),
        floor: SyntheticFloor(share: 0.1), leases: (organic: 6_000, synthetic: 15_000))
      var started: [String] = []
      claimer.start = { started.append($0.id) }
      _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
      for id in ["a", "b"] {
        #expect(try await queue.submit(id: id, task: "chat", payload: Array("{}".utf8)) == .created)
      }
      let stopped = Signal()
      let run = IO.task { @IO in await claimer.run(until: stopped) }
      while started.isEmpty { await EventLoop.shared.sleep(milliseconds: 1) }
      for _ in 0..<3 {
        let before = claimer.lastClaimAt
        while claimer.lastClaimAt <= before {
          claimer.poke()
          await EventLoop.shared.sleep(milliseconds: 1)
        }
      }
      #expect(started == ["a"])
      claimer.free(.organic)
      while started.count < 2 { await EventLoop.shared.sleep(milliseconds: 1) }
      #expect(started == ["a", "b"])
      stopped.fire()
      await run.value
    }
  }
}
