import Common
import Foundation

@testable import Producer

/// Values for tests; every argument has a default.
enum Fixture {
  /// A task as it stands in a configuration file.
  static func task(
    _ name: String, kind: String = "text", shape: String = "chat", weight: Double, maxCapacity: Double = 1000,
    volumePerRequest: Double = 2
  ) -> JSON {
    var members: [String: JSON] = [
      "name": .string(name), "kind": .string(kind), "shape": .string(shape), "weight": .number(weight),
      "max_capacity": .number(maxCapacity), "volume_per_request": .number(volumePerRequest),
      "path": .string("/chat/completions"), "model": .string(name), "stream": .bool(kind == "text"),
      "timeouts": .object([
        "connect_ms": .integer(1000), "first_content_ms": .integer(5000), "stall_ms": .integer(5000),
        "total_ms": .integer(30_000),
      ]),
      "speed": .object([
        "mean": .number(0.01), "variance": .number(80), "overhead_seconds": .number(1),
      ]),
    ]
    if kind == "text" {
      members["max_tokens"] = .array([.integer(10), .integer(100)])
    } else {
      members["steps"] = .array([.integer(5), .integer(10)])
      members["size"] = .array([.integer(512), .integer(512)])
    }
    return .object(members)
  }

  static func config(
    profile: String = "vision", periodSeconds: Int = 3600, validator: String? = nil,
    tasks: [JSON] = [
      task("chat-a", weight: 0.6, maxCapacity: 1e5),
      task("chat-b", weight: 0.4, maxCapacity: 1e5, volumePerRequest: 3),
    ]
  ) throws -> SubnetConfig {
    var members: [String: JSON] = [
      "version": .integer(1), "profile": .string(profile), "period_seconds": .integer(periodSeconds),
      "tasks": .array(tasks),
    ]
    members["validator_hotkey"] = validator.map(JSON.string)
    return try SubnetConfig(parsing: Data(JSON.object(members).canonicalText().utf8))
  }

  static func miners(_ count: Int, first: Int = 0) -> [MinerRecord] {
    (first..<(first + count)).map {
      MinerRecord(hotkey: "hotkey-\($0)", uid: $0, address: "http://127.0.0.1:\(9000 + $0)", stake: 1)
    }
  }

  static func rosterText(_ miners: [MinerRecord], validator: String = "validator") -> String {
    let entries = miners.map { miner in
      JSON.object([
        "hotkey": .string(miner.hotkey), "uid": .integer(miner.uid), "address": .string(miner.address),
        "stake": .number(miner.stake),
      ])
    }
    let roster: [String: JSON] = [
      "version": .integer(1), "validator_hotkey": .string(validator), "miners": .array(entries),
    ]
    return JSON.object(roster).canonicalText()
  }

  /// A planner's input with random claims.
  static func input(
    seed: UInt64, profile: ProfileName = .vision, miners: Int = 7, lengthSeconds: Int = 3600
  ) throws -> Planner.Input {
    let tasks = try config(
      profile: profile.rawValue,
      tasks: [
        task("chat-a", weight: 0.5), task("chat-b", weight: 0.3, maxCapacity: 5000, volumePerRequest: 3),
        task("picture", kind: "image", shape: "text-to-image", weight: 0.2, volumePerRequest: 0.7),
        task("off", weight: 0),
      ]
    ).tasks
    var random = SeededRandom(seed: seed, "claims")
    let claims: [[Double]?] = (0..<miners).map { _ in
      if random.below(6) == 0 { return nil }
      return tasks.map { _ in random.below(5) == 0 ? 0 : random.uniform() * 6000 }
    }
    return Planner.Input(
      start: PeriodID(startSeconds: 1_700_000_000), lengthSeconds: lengthSeconds, profile: profile,
      validatorHotkey: "validator", tasks: tasks, miners: self.miners(miners), claims: claims,
      configDigest: "0123456789abcdef", seed: seed)
  }

  /// A file of its own in the system's folder for temporary files, removed afterwards.
  @IO static func withFile<T>(_ text: String, _ body: @IO (String) async throws -> T) async throws -> T {
    let url = FileManager.default.temporaryDirectory
      .appendingPathComponent("vision-\(UInt64.random(in: 0 ... .max)).json")
    try Data(text.utf8).write(to: url, options: .atomic)
    defer { try? FileManager.default.removeItem(at: url) }
    return try await body(url.path)
  }

  /// A log that nobody reads.
  static let quiet = Log(now: { 0 }, write: { _ in })
}
