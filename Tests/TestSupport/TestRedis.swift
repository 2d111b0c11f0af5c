import Common
import Foundation
import Glibc

/// The Redis that tests run on: the one that `scripts/test` starts, named by VISION_TEST_REDIS. Its users are
/// those of users.acl; their passwords are in the folder VISION_TEST_REDIS_USERS. The harness itself is the
/// administrator, what is tested logs in under its own role.
public enum TestRedis {
  /// Where it listens, for one of its users.
  public static func address(as role: RedisRole = .admin) throws -> RedisAddress {
    var address = try RedisAddress(url: url)
    guard let file = passwordFile(of: role) else { return address }
    address.user = role.rawValue
    address.password = try String(contentsOfFile: file, encoding: .utf8)
    return address
  }

  /// The settings that point a program at it under a role.
  public static func environment(as role: RedisRole) throws -> [String: String] {
    guard let file = passwordFile(of: role) else { return ["VISION_REDIS_URL": try url] }
    return [
      "VISION_REDIS_URL": try url, "VISION_REDIS_USER": role.rawValue, "VISION_REDIS_PASSWORD_FILE": file,
    ]
  }

  private static func passwordFile(of role: RedisRole) -> String? {
    getenv("VISION_TEST_REDIS_USERS").map { String(cString: $0) + "/\(role.rawValue).password" }
  }

  /// Where it listens, as a setting's value.
  public static var url: String {
    get throws {
      guard let url = getenv("VISION_TEST_REDIS") else { throw MissingRedis() }
      return String(cString: url)
    }
  }

  /// Says what to do when there is none.
  public struct MissingRedis: Error, CustomStringConvertible {
    /// One line.
    public var description: String {
      "VISION_TEST_REDIS is not set: run scripts/test, which starts a Redis of its own"
    }
  }

  /// A client; whoever asks closes it.
  @IO public static func client(as role: RedisRole = .admin, name: String = "test") throws -> RedisClient {
    RedisClient(address: try address(as: role), options: .init(name: name))
  }

  /// Runs `body` with a client, and closes it.
  @IO public static func withClient<T>(
    as role: RedisRole = .admin, _ body: @IO (RedisClient) async throws -> T
  ) async throws -> T {
    let client = try client(as: role)
    defer { client.close() }
    return try await body(client)
  }

  /// Runs `body` with a queue in a namespace of its own, which is emptied afterwards.
  @IO public static func withQueue<T>(
    clock: Script.Clock = .redis, _ body: @IO (JobQueue) async throws -> T
  ) async throws -> T {
    try await withClient { client in
      let keys = Keys(namespace: "test-\(UInt64.random(in: 0 ... .max))")
      let queue = JobQueue(redis: client, keys: keys, clock: clock)
      do {
        let result = try await body(queue)
        try await removeAll(client, prefix: keys.prefix)
        return result
      } catch {
        try await removeAll(client, prefix: keys.prefix)
        throw error
      }
    }
  }

  /// Sets the clock that scripts of the test build read.
  @IO public static func setClock(_ queue: JobQueue, _ milliseconds: Int) async throws {
    _ = try await queue.redis.send("SET", queue.keys.fixed(.testClock), String(milliseconds))
  }

  /// All keys that begin with `prefix`.
  @IO public static func keys(_ client: RedisClient, prefix: String) async throws -> [String] {
    var cursor = "0"
    var found: Set<String> = []
    repeat {
      let reply = try await client.send("SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000")
      cursor = reply.elements?.first?.text ?? "0"
      found.formUnion((reply.elements?.last?.elements ?? []).compactMap(\.text))
    } while cursor != "0"
    return found.sorted()
  }

  @IO private static func removeAll(_ client: RedisClient, prefix: String) async throws {
    let found = try await keys(client, prefix: prefix)
    if !found.isEmpty { _ = try await client.send(RedisCommand(words: ["UNLINK"] + found)) }
  }
}
