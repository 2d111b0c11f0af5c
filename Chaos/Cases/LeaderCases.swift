import Common
import Foundation
import Glibc

/// Producers and aggregators that die and stand still.
enum LeaderCases {
  static let leaders = ChaosCase(
    name: "leaders", number: 28,
    about: "one of two producers and aggregators killed or stopped every 7 s, over four periods",
    seconds: 400,
    run: run)

  private static let periodSeconds = 20
  private static let periods = 4
  private static let table = """
    {"version": 1, "profile": "vision", "period_seconds": 20, "earned_capacity": true, "tasks": [{
      "name": "chat", "kind": "text", "shape": "chat", "model": "chat", "path": "/chat/completions",
      "stream": true, "weight": 1, "max_capacity": 576000, "volume_per_request": 300,
      "timeouts": {"connect_ms": 1000, "first_content_ms": 3000, "stall_ms": 3000, "total_ms": 5000},
      "speed": {"mean": 0.006, "variance": 80, "overhead_seconds": 1}, "max_tokens": [20, 40]}]}
    """

  @IO private static func run(_ stage: Stage) async throws {
    try await stage.startRedis()
    let config = stage.folder + "/vision.json"
    let roster = stage.folder + "/roster.json"
    try table.write(toFile: config, atomically: true, encoding: .utf8)
    _ = try stage.start(
      "miners",
      [
        Stage.program("vision-simulator"), "miners", "--miners", "6", "--behaviours", "honest", "--config",
        config,
        "--roster", roster,
      ])
    try await stage.wait(seconds: 20, for: "the roster") { FileManager.default.fileExists(atPath: roster) }
    let common = [
      "--redis-url", "unix://" + stage.redisSocket, "--namespace", Stage.namespace, "--config", config,
    ]
    func producer() throws -> StageProcess {
      try stage.start(
        "producer",
        [Stage.program("vision-producer")] + common + [
          "--roster-file", roster, "--period-seconds", String(periodSeconds), "--miner-networks",
          "127.0.0.0/8",
        ])
    }
    func aggregator() throws -> StageProcess {
      try stage.start(
        "aggregator",
        [Stage.program("vision-aggregator")] + common + ["--dry-run", "--ledger-keep-periods", "50"])
    }
    var leaders = [try producer(), try producer(), try aggregator(), try aggregator()]
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    let end = Monotonic.now().advanced(milliseconds: (periods * periodSeconds + 20) * 1000)
    var faults = 0
    while Monotonic.now() < end {
      try await stage.pass(milliseconds: 7_000)
      let index = faults % 4
      faults += 1
      if stage.random.below(2) == 0 {
        await leaders[index].kill()
        leaders[index] = try index < 2 ? producer() : aggregator()
      } else {
        leaders[index].process.signal(SIGSTOP)
        // Longer than a role lives without its holder.
        let stopped = leaders[index]
        _ = EventLoop.shared.after(milliseconds: 12_000) { stopped.process.signal(SIGCONT) }
      }
    }
    try await stage.pass(milliseconds: 13_000)
    stage.show("leaders killed or stopped", faults)
    try await judge(stage, workers, leaders)
  }

  /// Lets the periods that began close, then looks at how often each happened.
  @IO private static func judge(
    _ stage: Stage, _ workers: [StageProcess], _ leaders: [StageProcess]
  ) async throws {
    var closed: [PeriodID: Int] = [:]
    var opened: [PeriodID: Int] = [:]
    try await stage.wait(seconds: 90, for: "\(periods) closed periods") {
      opened = [:]
      closed = [:]
      for record in try await stage.queue.readLedger(after: "", limit: 100_000) {
        switch record.entry {
        case .opened(let snapshot): opened[snapshot.id, default: 0] += 1
        case .closed(let period): closed[period, default: 0] += 1
        default: break
        }
      }
      return closed.count >= periods
    }
    let wanted = Set(closed.keys)
    var published: [Int] = []
    try await stage.wait(seconds: 60, for: "their weights") {
      let history = try await stage.queue.redis.send(
        "LRANGE", stage.queue.keys.fixed(.weightsHistory), "0", "-1")
      published = (history.elements ?? []).compactMap(\.text).compactMap { text in
        (try? JSON(parsing: Data(text.utf8)))?["period"]?.double.map { Int($0) }
      }
      return Set(published).isSuperset(of: wanted.map(\.startSeconds))
    }
    try await stage.stop(Array(leaders[..<2]))
    try await stage.stop(Array(leaders[2...]))
    let judge = try await stage.conclude(stopping: workers, .init(leavesPlan: true, hasJournal: false))
    stage.show("periods closed", closed.count, "", .atLeast(Double(periods)))
    stage.show("opened twice", opened.values.count { $0 > 1 }, "", .exactly(0))
    stage.show("closed twice", closed.values.count { $0 > 1 }, "", .exactly(0))
    stage.show("weights published twice", published.count - Set(published).count, "", .exactly(0))
    let starts = opened.keys.map(\.startSeconds).sorted()
    let gaps = zip(starts, starts.dropFirst()).map { $1 - $0 }
    stage.show("longest way from period to period", gaps.max() ?? 0, "s", .atMost(Double(2 * periodSeconds)))
    stage.show("queries with an outcome", judge.effects.count, "", .atLeast(50))
  }
}
