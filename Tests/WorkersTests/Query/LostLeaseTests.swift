import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("A job whose lease ends while its request is made")
struct LostLeaseTests {
  @Test("asks nobody, and asks its miner when the lease stands", arguments: [true, false])
  @IO func asksNobody(isLost: Bool) async throws {
    try await OrganicBench.run(miners: 1, planned: 1) { bench in
      let client = HTTPClient()
      defer { client.close() }
      let (handler, keeper) = LostLeaseTests.handler(bench.queue, client)
      let job = SyntheticJob(period: bench.period.id, task: OrganicBench.chat, miner: 0, number: 0)
      let grant = Grant(
        id: job.description, token: "t", kind: .synthetic, task: job.task, attempt: 1,
        deadlineMilliseconds: nil, streams: false, payload: [])
      let run = IO.task { @IO in await handler.handle(grant) }
      // It is held from here on, while the period is read.
      while keeper.count == 0 { await Task.yield() }
      #expect(bench.miners[0].bodies.isEmpty)
      if isLost { keeper.cancelled(id: grant.id) }
      await run.value
      #expect(bench.miners[0].bodies.count == (isLost ? 0 : 1))
      #expect(handler.figures.attempts == (isLost ? 0 : 1))
    }
  }

  @IO private static func handler(_ queue: JobQueue, _ client: HTTPClient) -> (QueryHandler, LeaseKeeper) {
    let clock = RedisClock()
    let snapshots = SnapshotCache(queue: queue)
    let keeper = LeaseKeeper(queue: queue, worker: "w", clock: clock, intervalMilliseconds: 2_000)
    let handler = QueryHandler(
      parts: .init(
        queue: queue, client: client, snapshots: snapshots, keeper: keeper, settler: Settler(queue: queue),
        writer: ReplyWriter(queue: queue, replyBytesMax: 1 << 20),
        room: CheckRoom(queue: queue, bytesMax: 1 << 20),
        routing: MinerRouting(queue: queue, worker: "w", snapshots: snapshots), clock: clock,
        corpus: .builtIn, shapes: nil, bearer: nil, limits: .init(), leases: (6_000, 15_000)))
    return (handler, keeper)
  }
}
