import TestSupport
import Testing

@testable import Common

@Suite("A ledger that nobody folds", .timeLimit(.minutes(2)))
struct FullLedgerTests {
  @Test(
    "at its cap drops nothing: test queries and the intake pause, what runs goes on, and room resumes both")
  @IO func cap() async throws {
    let server = try PrivateRedis()
    try await server.start()
    let client = try server.client()
    defer { client.close() }
    let bench = QueueBench(JobQueue(redis: client, keys: Keys(namespace: "full"), clock: .testKey))
    try await bench.pass(0)
    try await bench.send("HSET", .tasks, "chat", "{}")
    _ = try await bench.plan(counts: [[3]], lengthMilliseconds: 3_000)
    let running = try #require(try await bench.claim().grants.first)
    try await bench.submit("before")
    let ledger = bench.queue.keys.fixed(.ledger)
    let fill = "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'v', '1') end"
    for _ in 1...20 { _ = try await client.send("EVAL", fill, "1", ledger) }
    let full = try #require(try await client.send("XLEN", ledger).int)
    #expect(full > 2_000_000)
    try await bench.pass(1_000)
    let claim = try await bench.claim()
    #expect(claim.grants.map(\.id) == ["before"], "users are served, test queries wait")
    let refused = try await bench.queue.submit(id: "after", task: "chat", payload: Array("{}".utf8))
    #expect(refused == .refused(reason: "full"))
    let user = try #require(claim.grants.first)
    #expect(try await bench.queue.settle([bench.end(running), bench.end(user)]) == [.ok, .ok])
    #expect(try await client.send("XLEN", ledger).int == full + 2, "nothing was dropped")
    // An aggregator folded it and dropped what it had read.
    _ = try await client.send("XTRIM", ledger, "MAXLEN", "2")
    #expect(try await bench.claim().grants.map(\.kind) == [.synthetic])
    try await bench.submit("after")
    await server.stop()
  }
}
