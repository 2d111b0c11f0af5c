import Aggregator
import Common
import Foundation

/// A million ledger entries over 256 miners and 12 tasks: reading their fields, folding them, and weighing.
@IO
enum FoldBench {
  nonisolated private static let miners = 256
  nonisolated private static let tasks = 12
  /// Attempts and verdicts of each miner and task; with the rest they make a million.
  nonisolated private static let attempts = 125
  nonisolated private static let verdicts = 200
  private static let entries = 1_000_000
  private static let pageSize = 1000

  static func run(_ lab: Lab) async throws -> [Row] {
    let snapshot = try snapshot()
    var ledger = FoldLedger(snapshot)
    var state = FoldState()
    state.apply(.opened(snapshot), id: "1-0")
    var busy = 0.0
    var next = 0
    while next < entries {
      let page = (next..<min(next + pageSize, entries)).map { ledger.fields(of: $0) }
      next += page.count
      let start = ProcessFigures.ownMicroseconds()
      for (offset, fields) in page.enumerated() {
        guard let entry = LedgerCodec.entry(fields) else { throw BenchFailure("an entry was not understood") }
        state.apply(entry, id: "\(next + offset)-0")
      }
      busy += ProcessFigures.ownMicroseconds() - start
      try Task.checkCancellation()
    }
    let start = ProcessFigures.ownMicroseconds()
    let result = state.apply(.closed(snapshot.id), id: "9000000000-0")
    let weighing = ProcessFigures.ownMicroseconds() - start
    guard case .weights(let weights)? = result?.outcome, weights.count == miners else {
      throw BenchFailure("the period was not weighed")
    }
    let before = ProcessFigures.ownMicroseconds()
    let bytes = try state.encoded().count
    let encoding = ProcessFigures.ownMicroseconds() - before
    return rows(busy: busy, weighing: weighing, encoding: encoding, bytes: bytes)
  }

  private static func rows(busy: Double, weighing: Double, encoding: Double, bytes: Int) -> [Row] {
    let bench = "fold"
    return [
      Row(bench: bench, metric: "entries", value: Double(entries) / busy * 1e6, unit: "1/s"),
      Row(
        bench: bench, metric: "million_and_weighing", value: (busy + weighing) / 1e6, unit: "s",
        aim: .atMost(10)),
      Row(bench: bench, metric: "weighing_256x12", value: weighing / 1e3, unit: "ms"),
      Row(bench: bench, metric: "state_encoding", value: encoding / 1e3, unit: "ms"),
      Row(bench: bench, metric: "state", value: Double(bytes) / 1e6, unit: "MB"),
      Row(
        bench: bench, metric: "peak_resident", value: ProcessFigures.ownPeakResidentBytes() / 1e6, unit: "MB",
        aim: .atMost(500)),
    ]
  }

  private static func snapshot() throws -> PeriodSnapshot {
    let config = try SubnetConfig(parsing: Data(Self.table.utf8))
    let row = (0..<miners).map { 10_000 + Double($0) }
    let table = config.tasks.map { _ in row }
    return PeriodSnapshot(
      id: PeriodID(startSeconds: 1_700_000_000), startMilliseconds: 1_700_000_000_000,
      endMilliseconds: 1_700_003_600_000, profile: "vision", validatorHotkey: "validator",
      tasks: config.tasks,
      miners: (0..<miners).map {
        MinerRecord(
          hotkey: "5" + String(repeating: "x", count: 44) + "\(100 + $0)", uid: $0,
          address: "http://127.0.0.1")
      },
      capacities: table, testVolumes: table,
      counts: config.tasks.map { _ in (0..<miners).map { _ in attempts } }, configDigest: config.digest,
      earnedCapacity: true)
  }

  private static var table: String {
    let list = (0..<tasks).map { number in
      """
      {"name": "task-\(number)", "kind": "text", "shape": "chat", "model": "m", "path": "/chat",
       "stream": true, "weight": \(number == 0 ? 0.12 : 0.08), "max_capacity": 576000,
       "volume_per_request": 300, "max_tokens": [50, 2000],
       "timeouts": {"connect_ms": 1000, "first_content_ms": 5000, "stall_ms": 5000, "total_ms": 60000},
       "speed": {"mean": 0.006, "variance": 80, "overhead_seconds": 1}}
      """
    }
    return "{\"version\": 1, \"profile\": \"vision\", \"tasks\": [\(list.joined(separator: ","))]}"
  }

  /// The entries' fields, as the scripts write them: first the planned attempts, then verdicts, then users'.
  private struct FoldLedger {
    private let period: String
    private let tasks: [String]
    private let hotkeys: [String]
    private var random = SeededRandom(seed: 1)

    init(_ snapshot: PeriodSnapshot) {
      period = snapshot.id.description
      tasks = snapshot.tasks.map(\.name)
      hotkeys = snapshot.miners.map(\.hotkey)
    }

    mutating func fields(of number: Int) -> [String: String] {
      let pairs = tasks.count * hotkeys.count
      let (place, turn) = (number % pairs, number / pairs)
      let (task, miner) = (place % tasks.count, place / tasks.count)
      let isPlanned = turn < FoldBench.attempts
      let isVerdict = !isPlanned && turn < FoldBench.attempts + FoldBench.verdicts
      let units = 400 + random.below(1600)
      let isGood = isVerdict || random.below(20) > 0
      var fields = [
        "v": "1", "type": isVerdict ? "verdict" : "attempt", "kind": isPlanned ? "synthetic" : "organic",
        "job": isPlanned ? "s:\(period):\(tasks[task]):\(miner):\(turn)" : "o:\(number)", "period": period,
        "task": tasks[task], "miner": String(miner), "hotkey": hotkeys[miner],
        "outcome": isGood ? "ok" : "server_error", "status": isGood ? "200" : "500",
        "work": String(isGood ? units * 250 : 0), "units": String(units), "first_ms": "300",
        "total_ms": String(1000 + units * 5), "settles": isPlanned ? "1" : "0",
      ]
      if isVerdict {
        fields["check"] = "c:\(number)"
        fields["state"] = "judged"
        fields["score"] = String(random.uniform())
      }
      return fields
    }
  }
}
