import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("A job that ends while its request is made")
struct LostLeaseTests {
  enum Ending: CaseIterable {
    /// Redis says that the job is somebody else's.
    case isLost
    /// It could not be renewed in time.
    case runsOut
    /// The worker stops.
    case stops
    /// It stands.
    case none
  }

  @Test(
    "asks nobody, and asks its miner when the lease stands; it ends once, whether its period was known or not",
    .timeLimit(.minutes(1)), arguments: Ending.allCases, [JobKind.synthetic, .organic])
  @IO func asksNobody(ending: Ending, kind: JobKind) async throws {
    for isKnown in [false, true] {
      try await OrganicBench.run(miners: 1, planned: 1) { bench in
        let client = HTTPClient()
        defer { client.close() }
        let lease = ending == .runsOut ? 0 : 15_000
        let (handler, keeper) = LostLeaseTests.handler(bench.queue, client, leaseMilliseconds: lease)
        let snapshots = handler.parts.snapshots
        if isKnown {
          let now = Int(Date().timeIntervalSince1970 * 1000)
          try #require(await snapshots.currentPeriod(nowMilliseconds: now) != nil)
        }
        let grant = LostLeaseTests.grant(kind, bench.period.id)
        var ends = 0
        let ended = Signal()
        handler.onEnd = { _ in
          ends += 1
          ended.fire()
        }
        // It is held from here on, while the period is read, if it has to be.
        handler.handle(grant)
        #expect(bench.miners[0].bodies.isEmpty)
        if ending == .stops { handler.abort() }
        if ending == .isLost { keeper.cancelled(id: grant.id) }
        await ended.wait()
        try await LostLeaseTests.settle(bench.queue)
        let asked = ending == .none ? 1 : 0
        #expect(bench.miners[0].bodies.count == asked, "known: \(isKnown)")
        if kind == .synthetic { #expect(handler.figures.attempts == asked, "known: \(isKnown)") }
        #expect(ends == 1, "known: \(isKnown)")
      }
    }
  }

  @Test("a job that cannot be read is handed back, and ends once", .timeLimit(.minutes(1)))
  @IO func unread() async throws {
    try await OrganicBench.run(miners: 1, planned: 1) { bench in
      let client = HTTPClient()
      defer { client.close() }
      let (handler, _) = LostLeaseTests.handler(bench.queue, client, leaseMilliseconds: 15_000)
      var grant = LostLeaseTests.grant(.synthetic, bench.period.id)
      grant.planned = nil
      var ends = 0
      let ended = Signal()
      handler.onEnd = { _ in
        ends += 1
        ended.fire()
      }
      handler.handle(grant)
      await ended.wait()
      try await LostLeaseTests.settle(bench.queue)
      #expect(ends == 1)
      #expect(bench.miners[0].bodies.isEmpty)
    }
  }

  /// Gives a second end, which may be a few calls of Redis behind, the time to come.
  @IO private static func settle(_ queue: JobQueue) async throws {
    for _ in 0..<3 {
      _ = try await queue.redis.send("PING")
      await EventLoop.shared.sleep(milliseconds: 10)
    }
  }

  @IO private static func grant(_ kind: JobKind, _ period: PeriodID) -> Grant {
    let planned = SyntheticJob(period: period, task: OrganicBench.chat, miner: 0, number: 0)
    let payload = #"{"messages":[{"role":"user","content":"Hello"}]}"#
    return kind == .synthetic
      ? Grant(
        id: planned.description, token: "t", kind: kind, planned: planned, task: planned.task, attempt: 1,
        deadlineMilliseconds: nil, streams: false, payload: [])
      : Grant(
        id: "one", token: "t", kind: kind, task: planned.task, attempt: 1, deadlineMilliseconds: nil,
        streams: true, payload: Array(payload.utf8))
  }

  @IO private static func handler(
    _ queue: JobQueue, _ client: HTTPClient, leaseMilliseconds: Int
  ) -> (QueryHandler, LeaseKeeper) {
    let clock = RedisClock()
    let snapshots = SnapshotCache(queue: queue)
    let keeper = LeaseKeeper(queue: queue, worker: "w", clock: clock, intervalMilliseconds: 2_000)
    let handler = QueryHandler(
      parts: .init(
        queue: queue, client: client, snapshots: snapshots, keeper: keeper, settler: Settler(queue: queue),
        writer: ReplyWriter(queue: queue, worker: "w", replyBytesMax: 1 << 20),
        room: CheckRoom(queue: queue, bytesMax: 1 << 20),
        routing: MinerRouting(queue: queue, worker: "w", snapshots: snapshots), clock: clock,
        corpus: .builtIn, shapes: nil, headers: .init(bearer: nil), limits: .init(),
        leases: (leaseMilliseconds, leaseMilliseconds)))
    return (handler, keeper)
  }
}
