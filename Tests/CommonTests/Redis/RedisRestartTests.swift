import TestSupport
import Testing

@testable import Common

@Suite("The Redis client at a server that restarts, reads its data or is held up", .timeLimit(.minutes(1)))
struct RedisRestartTests {
  /// A command's failure; nil when it was answered.
  @IO private func failure(
    _ client: RedisClient, _ command: RedisCommand, timeoutMilliseconds: Int? = nil
  ) async -> RedisError.Code? {
    do throws(RedisError) {
      _ = try await client.send(command, timeoutMilliseconds: timeoutMilliseconds)
      return nil
    } catch {
      return error.code
    }
  }

  @Test("commands go on by themselves after a crash, and each one that failed says whether it may have run")
  @IO func restart() async throws {
    let redis = try PrivateRedis()
    try await redis.start()
    let client = try redis.client()
    let connected = Signal()
    let lost = Signal()
    client.onChange = { isConnected in if isConnected { connected.fire() } else { lost.fire() } }
    let before = try await client.send("INFO", "server").text
    let blocked = IO.task { @IO in
      await self.failure(client, RedisCommand("BLPOP", "no-such-list", "0"))
    }
    let other = try redis.client()
    while try await other.send("INFO", "clients").text?.contains("blocked_clients:1") != true {}
    other.close()
    await redis.kill()
    #expect(await blocked.value == .outcomeUnknown)
    await lost.wait()
    #expect(!client.isConnected)
    #expect(await failure(client, RedisCommand("PING"), timeoutMilliseconds: 30) == .unavailable)
    // This one is given before the server is there, and waits for it.
    let patient = IO.task { @IO in try await client.send("INFO", "server").text }
    try await redis.start()
    let after = try await patient.value
    func runID(_ info: String?) -> Substring? { info?.firstMatch(of: /run_id:([0-9a-f]+)/)?.1 }
    #expect(runID(before) != nil && runID(after) != nil && runID(before) != runID(after))
    #expect(client.isConnected)
    client.close()
    await redis.stop()
  }

  @Test("scripts run after a crash that made Redis forget them, and what was accepted is still there")
  @IO func scripts() async throws {
    let redis = try PrivateRedis()
    let durable = ["--appendonly", "yes", "--appendfsync", "always"]
    try await redis.start(durable)
    let client = try redis.client()
    let queue = JobQueue(redis: client, keys: Keys(namespace: "restart"))
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    #expect(try await queue.submit(id: "a", task: "chat", payload: [1]) == .created)
    let source = Script.submit.source(clock: .redis)
    let digest = try await client.send("EVAL", "return redis.sha1hex(ARGV[1])", "0", source).text ?? ""
    func isKnown() async throws -> Bool {
      try await client.send("SCRIPT", "EXISTS", digest)[0]?.int == 1
    }
    #expect(try await isKnown())
    await redis.kill()
    try await redis.start(durable)
    #expect(try await !isKnown(), "a new server knows no script")
    let again = try await queue.submit(id: "a", task: "chat", payload: [1])
    #expect(again == .duplicate(state: "waiting"))
    #expect(try await isKnown(), "it was sent as a whole, and is known by its digest again")
    let claim = try await queue.claim(
      worker: "w", request: 1, nonce: "n", organicMax: 5, syntheticMax: 0, organicLeaseMilliseconds: 6_000,
      syntheticLeaseMilliseconds: 6_000)
    #expect(claim.grants.map(\.id) == ["a"])
    client.close()
    await redis.stop()
  }

  @Test("a server that reads its data is not ready, and is used as soon as it is")
  @IO func loading() async throws {
    let redis = try PrivateRedis()
    try await redis.start()
    let client = try redis.client()
    let fill = "for i = 1, 2000 do redis.call('SET', 'key:' .. i, i) end"
    _ = try await client.send("EVAL", fill, "0")
    _ = try await client.send("SAVE")
    await redis.kill()
    // Half a millisecond for each key, with a look at clients every kilobyte.
    try redis.launch(["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"])
    var failures: [RedisError.Code] = []
    var size: Int?
    while size == nil {
      do throws(RedisError) {
        size = try await client.send("DBSIZE").int
      } catch {
        try #require(error.isTransient, "\(error)")
        failures.append(error.code)
      }
    }
    #expect(size == 2000)
    #expect(failures.contains(.notReady), "\(failures)")
    client.close()
    await redis.stop()
  }

  @Test("a server that is held up by a script is not ready, and is used again once the script is gone")
  @IO func busy() async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--busy-reply-threshold", "20"])
    let (client, runner, admin) = (try redis.client(), try redis.client(), try redis.client())
    for each in [client, admin] { _ = try await each.send("PING") }
    let endless = IO.task { @IO in
      await self.failure(runner, RedisCommand("EVAL", "while true do end", "0"))
    }
    // Before the script's time is over, commands wait; then they are refused.
    var refused: RedisError.Code?
    while refused == nil { refused = await failure(client, RedisCommand("SET", "a", "1")) }
    #expect(refused == .notReady)
    let attempt = IO.task { @IO in try await client.send("SET", "a", "2").text }
    #expect(try await admin.send("SCRIPT", "KILL").text == "OK")
    #expect(await endless.value == .server)
    #expect(try await attempt.value == "OK")
    for each in [client, runner, admin] { each.close() }
    await redis.stop()
  }
}
