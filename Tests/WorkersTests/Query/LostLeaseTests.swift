import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("A job whose lease ends while its request is made")
struct LostLeaseTests {
  enum Ending: CaseIterable {
    /// Redis says that the job is somebody else's.
    case isLost
    /// It could not be renewed in time.
    case runsOut
    /// It stands.
    case none
  }

  @Test("asks nobody, and asks its miner when the lease stands", arguments: Ending.allCases)
  @IO func asksNobody(ending: Ending) async throws {
    try await OrganicBench.run(miners: 1, planned: 1) { bench in
      let client = HTTPClient()
      defer { client.close() }
      let lease = ending == .runsOut ? 0 : 15_000
      let (handler, keeper) = LostLeaseTests.handler(bench.queue, client, leaseMilliseconds: lease)
      let job = SyntheticJob(period: bench.period.id, task: OrganicBench.chat, miner: 0, number: 0)
      let grant = Grant(
        id: job.description, token: "t", kind: .synthetic, planned: job, task: job.task, attempt: 1,
        deadlineMilliseconds: nil, streams: false, payload: [])
      let ended = Signal()
      handler.onEnd = { _ in ended.fire() }
      // It is held from here on, while the period is read.
      handler.handle(grant)
      #expect(bench.miners[0].bodies.isEmpty)
      if ending == .isLost { keeper.cancelled(id: grant.id) }
      await ended.wait()
      let asked = ending == .none ? 1 : 0
      #expect(bench.miners[0].bodies.count == asked)
      #expect(handler.figures.attempts == asked)
    }
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
        leases: (6_000, leaseMilliseconds)))
    return (handler, keeper)
  }
}
