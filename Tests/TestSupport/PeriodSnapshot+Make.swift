import Common
import Foundation

extension PeriodSnapshot {
  /// A plan for tests: as many tasks and miners as `counts` has, named `chat`, `image`, `embed` and `hk0`,
  /// `hk1`, …
  public static func make(
    startMilliseconds: Int = 1_700_000_000_000, lengthMilliseconds: Int = 600_000, counts: [[Int]]
  ) throws -> PeriodSnapshot {
    let miners = (0..<(counts.first?.count ?? 0)).map {
      MinerRecord(hotkey: "hk\($0)", uid: $0, address: "http://127.0.0.1:\(9000 + $0)")
    }
    let volumes = counts.map { $0.map(Double.init) }
    return PeriodSnapshot(
      id: PeriodID(startSeconds: startMilliseconds / 1000), startMilliseconds: startMilliseconds,
      endMilliseconds: startMilliseconds + lengthMilliseconds, profile: "vision",
      validatorHotkey: "validator",
      tasks: try ["chat", "image", "embed"].prefix(counts.count).map { try TaskConfig.make(name: $0) },
      miners: miners, capacities: volumes, testVolumes: volumes, counts: counts, configDigest: "test")
  }
}

extension TaskConfig {
  /// A text task for tests.
  public static func make(name: String) throws -> TaskConfig {
    let text = """
      {"name": "\(name)", "kind": "text", "shape": "chat", "weight": 0.5, "max_capacity": 1000,
       "volume_per_request": 1, "path": "/chat", "model": "m", "stream": true, "max_tokens": [10, 20],
       "timeouts": {"connect_ms": 1000, "first_content_ms": 1000, "stall_ms": 1000, "total_ms": 5000}}
      """
    return try JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8))
  }
}
