import TestSupport
import Testing

@testable import Common

/// The functions for gateways remember for a moment how much memory is used.
@Suite("The door and the memory")
struct DoorMemoryTests {
  private static let most = 64 << 20

  /// A door, and who pushes through it.
  @IO private final class Door {
    let client: RedisClient
    private let key: String
    private var number = 0

    init(_ client: RedisClient, _ queue: JobQueue) {
      self.client = client
      key = queue.keys.fixed(.organic)
    }

    /// Pushes requests of a size, `width` at a time, until one is refused or `limit` were taken. Returns how many were.
    func push(bytes: Int, limit: Int, width: Int = 50) async throws -> Int {
      let payload = String(repeating: "x", count: bytes)
      var (taken, isRefused) = (0, false)
      while taken < limit, !isRefused {
        let answers = (0..<min(width, limit - taken)).map { _ in
          number += 1
          let command = RedisCommand("FCALL", "vision_submit_v1", "1", key, "r\(number)", "chat", payload)
          return IO.task { @IO [client] in try await client.send(command).elements?.compactMap(\.text) ?? [] }
        }
        for answer in answers {
          let words = try await answer.value
          if words.first == "created" {
            taken += 1
          } else {
            #expect(words == ["refused", "full", "memory", "is used to more than 80 %"])
            isRefused = true
          }
        }
      }
      return taken
    }

    /// A figure of `INFO`.
    func info(_ section: String, _ name: String) async throws -> Int {
      let lines = (try await client.send("INFO", section).text ?? "").split(whereSeparator: \.isNewline)
      let line = lines.first { $0.hasPrefix(name) }
      return line.flatMap { Int($0.dropFirst(name.count).prefix { $0.isNumber }) } ?? 0
    }

    /// Stores about so many MB.
    func fill(_ count: Int) async throws {
      let script = "for i = 1, \(count) do redis.call('SET', 'fill:' .. i, string.rep('x', 1000000)) end"
      _ = try await client.send("EVAL", script, "0")
    }

    /// Drops them.
    func drop(_ count: Int) async throws {
      _ = try await client.send("EVAL", "for i = 1, \(count) do redis.call('DEL', 'fill:' .. i) end", "0")
    }
  }

  @IO private func withDoor(_ body: @IO (Door) async throws -> Void) async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--maxmemory", String(DoorMemoryTests.most), "--maxmemory-policy", "noeviction"])
    let client = try redis.client()
    let queue = JobQueue(redis: client, keys: Keys(namespace: "vision"))
    _ = try await FunctionLibrary.install(on: client)
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    try await body(Door(client, queue))
    client.close()
    await redis.stop()
  }

  @Test(
    "what comes faster than it looks is refused in time, whatever its size", arguments: [10, 1_000, 700_000])
  @IO func burst(bytes: Int) async throws {
    try await withDoor { door in
      // Small requests come to a server that is nearly full: the point is how many of them pass.
      if bytes < 10_000 { try await door.fill(47) }
      // One at a time where several would be under way with more than a hundredth of the memory.
      #expect(try await door.push(bytes: bytes, limit: 9_900, width: bytes < 10_000 ? 50 : 1) > 10)
      // Beside what is stored there are the buffers of connections.
      let share = Double(try await door.info("memory", "used_memory:")) / Double(DoorMemoryTests.most)
      #expect(share > 0.75 && share < 0.83, "\(share)")
    }
  }

  @Test("it looks again after a moment, whether there was room or not, and not for each request")
  @IO func looksAgain() async throws {
    try await withDoor { door in
      let before = try await door.info("commandstats", "cmdstat_info:calls=")
      let start = Monotonic.now()
      #expect(try await door.push(bytes: 10, limit: 2_000) == 2_000)
      let milliseconds = Monotonic.now().milliseconds(since: start)
      let looks = try await door.info("commandstats", "cmdstat_info:calls=") - before - 1
      // 2 MB were given away, three hundredths.
      #expect(looks <= milliseconds / 100 + 10, "\(looks) looks in \(milliseconds) ms")
      try await door.fill(55)
      await EventLoop.shared.sleep(milliseconds: 150)
      #expect(try await door.push(bytes: 10, limit: 1) == 0)
      try await door.drop(55)
      await EventLoop.shared.sleep(milliseconds: 150)
      #expect(try await door.push(bytes: 10, limit: 1) == 1)
    }
  }
}
