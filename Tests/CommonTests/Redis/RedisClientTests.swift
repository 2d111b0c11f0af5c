import Testing
import TestSupport

@testable import Common

@Suite("The Redis client")
struct RedisClientTests {
  @Test("reads addresses and keeps passwords out of descriptions")
  func addresses() throws {
    let tcp = try RedisAddress(url: "redis://me:secret@example.org:7000/3")
    #expect(tcp.endpoint == .tcp(host: "example.org", port: 7000))
    #expect(tcp.user == "me" && tcp.password == "secret" && tcp.database == 3)
    #expect(tcp.description == "redis://example.org:7000/3")
    let unix = try RedisAddress(url: "unix:///run/redis.sock?db=2")
    #expect(unix.endpoint == .unix(path: "/run/redis.sock") && unix.database == 2)
    for bad in ["", "http://x", "redis://", "rediss://h", "unix://", "redis://h/x"] {
      #expect(throws: RedisError.self, "\(bad)") { try RedisAddress(url: bad) }
    }
  }

  @Test("answers in order, whatever the bytes")
  @IO func roundTrip() async throws {
    try await TestRedis.withClient { client in
      var random = SeededRandom(seed: 1)
      let sizes = [0, 1, 15, 16, 17, 1_000, 200_000]
      let sent = sizes.map { size in (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) } }
      let tasks = sent.map { bytes in
        Task { @IO in
          var command = RedisCommand("ECHO")
          command.add(bytes)
          return try await client.send(command).data
        }
      }
      for (bytes, task) in zip(sent, tasks) {
        let echoed = try await task.value
        #expect(echoed == bytes)
      }
    }
  }

  @Test("throws what the server answers, and goes on")
  @IO func serverErrors() async throws {
    try await TestRedis.withClient { client in
      await #expect(throws: RedisError.self) { try await client.send("NOSUCHCOMMAND") }
      let reply = try await client.send("PING")
      #expect(reply.text == "PONG")
    }
  }

  @Test("a connection killed by the server fails what waits and is replaced")
  @IO func reconnects() async throws {
    try await TestRedis.withClient { client in
      let id = try await client.send("CLIENT", "ID").int ?? 0
      let blocked = Task { @IO in
        do {
          _ = try await client.send("BLPOP", "no-such-list", "0")
          return RedisError.Code.closed
        } catch let error as RedisError { return error.code }
      }
      try await TestRedis.withClient { other in
        while try await other.send("CLIENT", "KILL", "ID", String(id)).int != 1 {}
      }
      #expect(try await blocked.value == .outcomeUnknown)
      #expect(try await client.send("CLIENT", "ID").int != id)
    }
  }

  @Test("a reply that does not come costs the connection, not the client")
  @IO func replyTimeout() async throws {
    try await TestRedis.withClient { client in
      await #expect(throws: RedisError.self) {
        try await client.send(RedisCommand("BLPOP", "no-such-list", "0"), timeoutMilliseconds: 50)
      }
      let reply = try await client.send("PING")
      #expect(reply.text == "PONG")
    }
  }

  @Test("without a server a command fails in its own time and nothing was sent")
  @IO func unavailable() async throws {
    let address = RedisAddress(endpoint: .unix(path: "/nonexistent/redis.sock"))
    let client = RedisClient(address: address, options: .init(name: "test"))
    do {
      _ = try await client.send(RedisCommand("PING"), timeoutMilliseconds: 60)
      Issue.record("there is no server")
    } catch {
      #expect(error.code == .unavailable)
    }
    client.close()
  }

  @Test("waits between attempts grow, are drawn from the whole range and end at their maximum")
  func backoff() {
    var machine = ReconnectMachine()
    let now = Monotonic(nanoseconds: 0)
    #expect(machine.wanted(now: now) == .connect(at: now))
    #expect(machine.wanted(now: now) == .none)
    for failures in 0..<20 {
      let range = min(5_000, 50 << failures)
      #expect(machine.failed(now: now, uniform: 0.5) == .connect(at: now.advanced(milliseconds: range / 2)))
    }
    machine.succeeded(now: now)
    #expect(machine.ended(now: now, uniform: 0) == .connect(at: now))
    machine.close()
    #expect(machine.failed(now: now, uniform: 0) == .none)
  }

  @Test(
    "connections that are cut one after the other are replaced more and more slowly, a steady one at once")
  func unsteady() {
    var machine = ReconnectMachine()
    var now = Monotonic(nanoseconds: 0)
    #expect(machine.wanted(now: now) == .connect(at: now))
    func cut(after milliseconds: Int) -> ReconnectMachine.Action {
      machine.succeeded(now: now)
      now = now.advanced(milliseconds: milliseconds)
      return machine.ended(now: now, uniform: 0.5)
    }
    for range in [50, 100, 200, 400, 800, 1_600, 2_500, 2_500] {
      #expect(cut(after: 200) == .connect(at: now.advanced(milliseconds: range / 2)))
    }
    #expect(cut(after: 1_000) == .connect(at: now.advanced(milliseconds: 25)))
  }
}
