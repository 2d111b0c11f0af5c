import Foundation
import TestSupport
import Testing

@testable import Common

/// Periods that are over: a ledger on a real Redis, folded and exported by the built `vision-aggregator`.
@IO
struct RecordsBench {
  static let program = BuiltProgram("vision")
  private static let aggregator = BuiltProgram("vision-aggregator")
  static let hour = 3600
  static let miners = 3

  let queue: JobQueue
  /// The export folder.
  let folder: String

  /// Runs `body` with `periods` periods that were closed, exported and published.
  static func with(periods: Int, _ body: @IO (RecordsBench) async throws -> Void) async throws {
    try await TestRedis.withQueue { queue in
      let folder = FileManager.default.temporaryDirectory.path + "/records-" + UUID().uuidString
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let bench = RecordsBench(queue: queue, folder: folder)
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for number in 1...periods { try await bench.write(number) }
      try await bench.aggregate(until: periods)
      try await body(bench)
    }
  }

  /// The settings that point a command that looks at the queue and the folder.
  var environment: [String: String] {
    get throws { try environment(as: .operator) }
  }

  private func environment(as role: RedisRole) throws -> [String: String] {
    let namespace = String(queue.keys.prefix.prefix { $0 != ":" })
    let own = ["VISION_NAMESPACE": namespace, "VISION_EXPORT_DIRECTORY": folder]
    return try TestRedis.environment(as: role).merging(own) { $1 }
  }

  /// Runs a command of `vision` to its end.
  func vision(_ arguments: String...) async throws -> BuiltProgram.Outcome {
    try await Self.program.run(arguments, adding: environment)
  }

  /// What the aggregator sent last.
  var weightsFile: String { folder + "/weights.json" }

  /// The path of a period's file.
  func file(_ number: Int, _ kind: String) -> String { "\(folder)/period-\(number * Self.hour).\(kind)" }

  // MARK: ledger

  /// A task with a speed model, so that verdicts count.
  private static func task(_ name: String, weight: Double) throws -> TaskConfig {
    let text = """
      {"name": "\(name)", "kind": "text", "shape": "chat", "weight": \(weight), "max_capacity": 100000,
       "volume_per_request": 300, "path": "/chat", "model": "m", "stream": true, "max_tokens": [10, 20],
       "timeouts": {"connect_ms": 1000, "first_content_ms": 1000, "stall_ms": 1000, "total_ms": 5000},
       "speed": {"mean": 0.006, "variance": 80, "overhead_seconds": 1}}
      """
    return try JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8))
  }

  private static func snapshot(_ number: Int) throws -> PeriodSnapshot {
    let tasks = [try task("chat", weight: 0.6), try task("code", weight: 0.4)]
    let capacities = tasks.map { _ in (1...miners).map { Double($0) * 10_000 } }
    return PeriodSnapshot(
      id: PeriodID(startSeconds: number * hour), startMilliseconds: number * hour * 1000,
      endMilliseconds: (number + 1) * hour * 1000, profile: "vision", validatorHotkey: "v", tasks: tasks,
      miners: (0..<miners).map {
        MinerRecord(hotkey: "hk\($0)", uid: 20 + $0, address: "http://127.0.0.1:\(9000 + $0)")
      },
      capacities: capacities, testVolumes: capacities, counts: tasks.map { _ in [3, 3, 3] },
      configDigest: "0123456789abcdef")
  }

  /// The values of an entry.
  private struct Fields: FieldSink {
    var items: [String] = []
    mutating func add(_ text: String) { items.append(text) }
    mutating func add(_ number: Int) { items.append(String(number)) }
  }

  private func add(_ type: String, _ fields: [String]) async throws {
    let words = ["XADD", queue.keys.fixed(.ledger), "*", "v", LedgerCodec.version, "type", type] + fields
    _ = try await queue.redis.send(RedisCommand(words: words))
  }

  /// A period: miner 2 fails a third of its queries, and answers are worth the less the higher the number.
  private func write(_ number: Int) async throws {
    let snapshot = try Self.snapshot(number)
    let json = String(decoding: try JSONEncoder().encode(snapshot), as: UTF8.self)
    try await add("opened", ["period", snapshot.id.description, "snapshot", json])
    for task in snapshot.tasks {
      for miner in 0..<Self.miners {
        for query in 0..<3 {
          let job = SyntheticJob(period: snapshot.id, task: task.name, miner: miner, number: query)
          let isGood = miner < 2 || query > 0
          let attempt = AttemptEntry(
            job: job.description, kind: .synthetic, period: snapshot.id, task: task.name,
            hotkey: "hk\(miner)", outcome: isGood ? .ok : .serverError, status: isGood ? 200 : 500,
            workMilli: isGood ? 300_000 : 0, units: 1200, firstContentMilliseconds: 100,
            totalMilliseconds: 4000 + 500 * miner, settles: true)
          var sink = Fields()
          LedgerCodec.write(attempt, miner: miner, to: &sink)
          precondition(sink.items.count == LedgerCodec.attemptFields.count)
          let fields = zip(LedgerCodec.attemptFields, sink.items).flatMap { [$0, $1] }
          try await add("attempt", fields)
          let score = String(1 - 0.2 * Double(miner))
          if isGood {
            try await add("verdict", ["check", "c\(query)", "state", "judged", "score", score] + fields)
          }
        }
      }
    }
    try await add("closed", ["period", snapshot.id.description])
  }

  /// Runs the built aggregator until it has published `count` results.
  private func aggregate(until count: Int) async throws {
    let process = try ChildProcess(
      ChildCommand(
        [Self.aggregator.path, "--weights-file", weightsFile], adding: environment(as: .aggregator)),
      stdout: .discarded, stderr: .discarded)
    let key = queue.keys.fixed(.weightsHistory)
    let limit = Monotonic.now().advanced(milliseconds: 30_000)
    let last = PeriodID(startSeconds: count * Self.hour).description
    let meta = queue.keys.fixed(.weightsMeta)
    while try await queue.redis.send("HGET", meta, "sent_period").text != last, Monotonic.now() < limit {
      await EventLoop.shared.sleep(milliseconds: 20)
    }
    let status = await process.terminate(graceMilliseconds: 5_000)
    #expect(status.isSuccess)
    let published = try await queue.redis.send("LLEN", key).int
    #expect(published == count)
  }
}
