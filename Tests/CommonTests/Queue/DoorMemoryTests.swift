import TestSupport
import Testing

@testable import Common

/// The functions for gateways remember for a moment how much memory is used.
@Suite("The door and the memory")
struct DoorMemoryTests {
  private static let most = 64 << 20

  /// Runs `body` with a function that pushes requests of a size through the door until it refuses, or until there are
  /// `limit` of them, and says how much memory was used then.
  @IO private func withDoor(
    _ body:
      @IO (RedisClient, (_ bytes: Int, _ limit: Int) async throws -> (taken: Int, used: Int)) async throws
      -> Void
  ) async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--maxmemory", String(DoorMemoryTests.most), "--maxmemory-policy", "noeviction"])
    let client = try redis.client()
    let queue = JobQueue(redis: client, keys: Keys(namespace: "vision"))
    _ = try await FunctionLibrary.install(on: client)
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    var number = 0
    try await body(client) { bytes, limit in
      let payload = String(repeating: "x", count: bytes)
      for taken in 0..<limit {
        number += 1
        let answer = try await client.send(
          "FCALL", "vision_submit_v1", "1", queue.keys.fixed(.organic), "r\(number)", "chat", payload)
        let words = answer.elements?.compactMap(\.text) ?? []
        if words.first == "created" { continue }
        #expect(words == ["refused", "full", "memory", "is used to more than 80 %"])
        return (taken, try await DoorMemoryTests.used(client))
      }
      return (limit, try await DoorMemoryTests.used(client))
    }
    client.close()
    await redis.stop()
  }

  @IO private static func used(_ client: RedisClient) async throws -> Int {
    let lines = (try await client.send("INFO", "memory").text ?? "").split(whereSeparator: \.isNewline)
    let line = try #require(lines.first { $0.hasPrefix("used_memory:") })
    return try #require(Int(line.dropFirst("used_memory:".count)))
  }

  @Test(
    "what is pushed faster than it looks is refused in time, whatever its size", arguments: [1_000, 700_000])
  @IO func burst(bytes: Int) async throws {
    try await withDoor { client, push in
      // Small requests come to a server that is nearly full: the point is how many of them pass.
      if bytes < 10_000 {
        let fill = "for i = 1, 48 do redis.call('SET', 'fill:' .. i, string.rep('x', 1000000)) end"
        _ = try await client.send("EVAL", fill, "0")
      }
      let end = try await push(bytes, 100_000)
      #expect(end.taken > 10)
      #expect(end.used > DoorMemoryTests.most * 79 / 100)
      #expect(end.used < DoorMemoryTests.most * 83 / 100)
    }
  }

  @Test("it looks again after a moment, whether there was room or not")
  @IO func looksAgain() async throws {
    try await withDoor { client, push in
      #expect(try await push(10, 1).taken == 1)
      let fill = "for i = 1, 55 do redis.call('SET', 'fill:' .. i, string.rep('x', 1000000)) end"
      _ = try await client.send("EVAL", fill, "0")
      await EventLoop.shared.sleep(milliseconds: 150)
      #expect(try await push(10, 1).taken == 0)
      _ = try await client.send(
        "EVAL", fill.replacing("'SET'", with: "'DEL'").replacing(", string.rep('x', 1000000)", with: ""), "0")
      await EventLoop.shared.sleep(milliseconds: 150)
      #expect(try await push(10, 1).taken == 1)
    }
  }
}
