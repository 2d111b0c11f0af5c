import Glibc
import TestSupport
import Testing

@testable import Common

@Suite("Redis Sentinel", .timeLimit(.minutes(3)))
struct RedisSentinelTests {
  @Test("addresses name Sentinels and the master, with the usual port, user, password and database")
  func addresses() throws {
    let address = try RedisAddress(url: "redis+sentinel://me:s%40x@a,b:7000,[::1]:7001/mine/3")
    let hosts = [("a", 26379), ("b", 7000), ("::1", 7001)].map { RedisAddress.Host(host: $0.0, port: $0.1) }
    #expect(address.endpoint == .sentinel(hosts: hosts, master: "mine"))
    #expect(address.user == "me" && address.password == "s@x" && address.database == 3)
    #expect(address.description == "redis+sentinel://a:26379,b:7000,[::1]:7001/mine/3")
    let bad = [
      "", "a", "a/", "/mine", "a,,b/mine", "a:0/mine", "a:65536/mine", "a:x/mine", "a/my name", "a/mine/x",
      "a/mine/1/2", "a b/mine", String(repeating: "a,", count: 16) + "a/mine",
    ]
    for rest in bad {
      let error = #expect(throws: RedisError.self, "\(rest)") {
        try RedisAddress(url: "redis+sentinel://me:secret@" + rest)
      }
      #expect(error?.code == .invalidAddress && error?.message.contains("secret") == false)
    }
  }

  @Test("a client says which master is unknown, and where nobody answers")
  @IO func unknown() async throws {
    let nobody = try LoopbackPort.free()
    var options = RedisClient.Options(name: "test")
    options.commandTimeoutMilliseconds = 300
    let url = "redis+sentinel://127.0.0.1:\(nobody)/mine"
    let client = RedisClient(address: try RedisAddress(url: url), options: options)
    defer { client.close() }
    let error = try await #require(throws: RedisError.self) { try await client.send("PING") }
    #expect(error.code == .unavailable)
    #expect(error.message.contains("no Sentinel names the master 'mine': 127.0.0.1:\(nobody): "))
  }

  @Test(
    "after the master's death commands, scripts and blocked reads go on at the next one, and nothing that a replica confirmed is lost"
  )
  @IO func failover() async throws {
    let bench = try await SentinelBench(replicas: 2, settings: ["--min-replicas-to-write", "1"])
    let client = try bench.client()
    let queue = JobQueue(redis: client, keys: Keys(namespace: "ha"))
    let worker = try bench.client(as: .worker)
    let workers = JobQueue(redis: worker, keys: queue.keys)
    try await untilTaken { () throws(RedisError) in
      _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    }
    let rounds = getenv("VISION_TEST_LONG") == nil ? 1 : 10
    var longest = 0
    for round in 1...rounds {
      #expect(try await queue.submit(id: "o\(round)", task: "chat", payload: [1]) == .created)
      let count = try await queue.waitForReplicas(
        1, since: client.connectionCount, limitMilliseconds: 10_000)
      #expect((count ?? 0) >= 1)
      let blocked = try bench.client(as: .worker)
      let wake = queue.keys.fixed(.wakeDue)
      let waiting = IO.task { @IO in await self.popUntilGiven(blocked, wake) }
      let master = try await bench.master()
      try await bench.untilBlocked(master)
      await bench.kill(master)
      let killed = Monotonic.now()
      // Each of these waits for the next master by itself.
      let claim = try await workers.claim(
        worker: "w", request: round, nonce: "n\(round)", organicMax: 5, syntheticMax: 0,
        organicLeaseMilliseconds: 60_000, syntheticLeaseMilliseconds: 60_000)
      #expect(claim.grants.map(\.id) == ["o\(round)"])
      longest = max(longest, (Monotonic.now().nanoseconds - killed.nanoseconds) / 1_000_000)
      try await untilTaken { () throws(RedisError) in _ = try await client.send("ZADD", wake, "7", "due") }
      #expect(await waiting.value == 7)
      blocked.close()
      try bench.restart(master)
      try await bench.waitForReplicas()
    }
    print("sentinel: \(rounds) failovers, work went on after \(longest) ms at most")
    for each in [client, worker] { each.close() }
    await bench.stop()
  }

  /// A bare command is not repeated by itself where its master has lost sight of its replicas for a moment.
  @IO private func untilTaken(_ command: @IO () async throws(RedisError) -> Void) async throws(RedisError) {
    let limit = Monotonic.now().advanced(milliseconds: 10_000)
    while true {
      do throws(RedisError) { return try await command() } catch {
        guard error.isTransient, Monotonic.now() < limit else { throw error }
        await EventLoop.shared.sleep(milliseconds: 20)
      }
    }
  }

  /// What an idle worker does: listens, and listens again when the server went away. Returns the marker's score.
  @IO private func popUntilGiven(_ client: RedisClient, _ key: String) async -> Int? {
    while true {
      do throws(RedisError) {
        let reply = try await client.send(RedisCommand("BZPOPMIN", key, "4"), timeoutMilliseconds: 6_000)
        if let score = reply[2]?.int { return score }
      } catch {
        guard error.isTransient else { return nil }
      }
    }
  }

  @Test("a master that is only made a replica is left for the new one, by those that are blocked as well")
  @IO func demoted() async throws {
    let bench = try await SentinelBench(replicas: 1)
    let (client, blocked) = (try bench.client(), try bench.client())
    let waiting = IO.task { @IO in await self.popUntilGiven(blocked, "wake") }
    let old = try await bench.master()
    try await bench.untilBlocked(old)
    _ = try await client.send("SET", "a", "1")
    #expect(try await client.send("WAIT", "1", "10000").int == 1)
    try await bench.requestFailover()
    try await bench.waitForFailover(from: old)
    // Until it is told, the old master takes writes, and they are lost: that is what WAIT is for.
    let new = try await bench.master()
    while try await bench.ask(new, "GET", "a")?.text != "2" {
      do throws(RedisError) {
        _ = try await client.send("SET", "a", "2")
      } catch {
        try #require(error.isTransient, "\(error)")
      }
    }
    _ = try await client.send("ZADD", "wake", "9", "due")
    #expect(await waiting.value == 9)
    for each in [client, blocked] { each.close() }
    await bench.stop()
  }

  @Test("a master that hangs is noticed by the commands' time limit, and left")
  @IO func hangs() async throws {
    let bench = try await SentinelBench(replicas: 1)
    let client = try bench.client(commandTimeoutMilliseconds: 1_000)
    _ = try await client.send("SET", "a", "1")
    #expect(try await client.send("WAIT", "1", "10000").int == 1)
    let old = try await bench.master()
    bench.signal(old, SIGSTOP)
    try await bench.waitForFailover(from: old)
    var failures: [RedisError.Code] = []
    var value: String?
    while value == nil {
      do throws(RedisError) {
        value = try await client.send("GET", "a").text
      } catch {
        try #require(error.isTransient, "\(error)")
        failures.append(error.code)
      }
    }
    #expect(value == "1")
    #expect(failures.contains(.outcomeUnknown), "\(failures)")
    client.close()
    await bench.stop()
  }

  @Test("without enough replicas writes wait, and go on when there are enough again")
  @IO func tooFewReplicas() async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--min-replicas-to-write", "1"])
    let (client, admin) = (try redis.client(), try redis.client())
    let queue = JobQueue(redis: client, keys: Keys(namespace: "few"))
    let error = try await #require(throws: RedisError.self) { try await client.send("SET", "a", "1") }
    #expect(error.code == .notReady)
    let waiting = IO.task { @IO in try await queue.pause("intake", true) }
    _ = try await admin.send("CONFIG", "SET", "min-replicas-to-write", "0")
    #expect(try await waiting.value)
    for each in [client, admin] { each.close() }
    await redis.stop()
  }
}

extension SentinelBench {
  /// Waits until somebody is blocked at a server.
  func untilBlocked(_ port: Int) async throws {
    while try await ask(port, "INFO", "clients")?.text?.contains("blocked_clients:1") != true {}
  }

  /// Asks a Sentinel for a failover until it begins one.
  func requestFailover() async throws {
    let address = try RedisAddress(url: url)
    guard case .sentinel(let hosts, let name) = address.endpoint else { return }
    while try await ask(hosts[0].port, "SENTINEL", "FAILOVER", name)?.text != "OK" {
      await EventLoop.shared.sleep(milliseconds: 50)
    }
  }
}
