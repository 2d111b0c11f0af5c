import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Common

@Suite("The start with Redis", .timeLimit(.minutes(1)))
struct RedisStartTests {
  /// Keeps lines and tells when the first one came.
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
    let first = Signal()

    var log: Log {
      Log(now: { 0 }) { bytes in
        self.all.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
        Task { @IO in self.first.fire() }
      }
    }

    func count(_ text: String) -> Int { all.withLock { $0.count { $0.contains(text) } } }
  }

  @Test("waits for a Redis that is not there yet, says so once, and goes on by itself")
  @IO func waits() async throws {
    let redis = try PrivateRedis()
    let lines = Lines()
    let client = try redis.client(commandTimeoutMilliseconds: 500)
    async let isReady = RedisStart.isReady(
      client, log: lines.log, stopping: Signal(), pauseMilliseconds: 20)
    await lines.first.wait()
    #expect(lines.count("waiting for Redis") == 1)
    try await redis.start(["--appendonly", "yes", "--maxmemory", "100mb"])
    #expect(try await isReady)
    #expect(lines.count("waiting for Redis") == 1)
    #expect(lines.count("Redis answers") == 1)
    #expect(lines.count("should be set otherwise") == 0)
    await redis.stop()
  }

  @Test("gives up waiting when the program is asked to stop")
  @IO func stops() async throws {
    let redis = try PrivateRedis()
    let lines = Lines()
    let client = try redis.client(commandTimeoutMilliseconds: 500)
    let stopping = Signal()
    async let isReady = RedisStart.isReady(client, log: lines.log, stopping: stopping)
    await lines.first.wait()
    stopping.fire()
    #expect(try await !isReady)
    await redis.stop()
  }

  @Test("refuses a Redis that evicts keys, warns of one that forgets, and takes the shipped settings")
  @IO func judges() async throws {
    let redis = try PrivateRedis()
    try await redis.start()
    let lines = Lines()
    #expect(try await RedisStart.isReady(redis.client(), log: lines.log, stopping: Signal()))
    #expect(lines.count("appendonly is off") == 1)
    #expect(lines.count("maxmemory is 0") == 1)
    let client = try redis.client()
    _ = try await client.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await #expect(throws: RedisUnfit.self) {
      try await RedisStart.isReady(client, log: lines.log, stopping: Signal())
    }
    await redis.stop()
    let shipped = Lines()
    let other = RedisClient(address: try TestRedis.address(), options: .init(name: "test"))
    #expect(try await RedisStart.isReady(other, log: shipped.log, stopping: Signal()))
    #expect(shipped.all.withLock { $0 } == [])
  }

  @Test("refuses a Redis that asks for a password, with its words")
  @IO func password() async throws {
    let redis = try PrivateRedis()
    try await redis.start()
    let admin = try redis.client()
    _ = try await admin.send("CONFIG", "SET", "requirepass", "x")
    let client = try redis.client()
    do {
      _ = try await RedisStart.isReady(client, log: Lines().log, stopping: Signal())
      Issue.record("a server that refuses was taken")
    } catch {
      #expect(error.description.contains("NOAUTH"))
      #expect(error.exitCode == .unavailable)
    }
    admin.close()
    await redis.stop()
  }
}
