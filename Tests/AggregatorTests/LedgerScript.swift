@testable import Aggregator
@testable import Common

extension TaskConfig {
  /// A text task of the `vision` profile.
  static func make(_ name: String, weight: Double, shape: PayloadShape = .chat) -> TaskConfig {
    TaskConfig(
      name: name, kind: shape.kind, shape: shape, weight: weight, maxCapacity: 100_000,
      volumePerRequest: 300, path: "/chat/completions", model: name, streams: true,
      timeouts: TaskTimeouts(
        connectMilliseconds: 1000, firstContentMilliseconds: 5000, stallMilliseconds: 5000,
        totalMilliseconds: 60_000),
      speed: SpeedModel(mean: 0.006, variance: 80, overheadSeconds: 1))
  }
}

extension PeriodSnapshot {
  /// A period of an hour with three miners `m0`… and the tasks `chat` and `code`.
  static func make(
    _ start: Int = 3600, profile: String = "vision", tasks: [TaskConfig]? = nil, miners: Int = 3,
    capacity: (_ task: Int, _ miner: Int) -> Double = { _, _ in 10_000 },
    count: (_ task: Int, _ miner: Int) -> Int = { _, _ in 4 }
  ) -> PeriodSnapshot {
    let tasks = tasks ?? [.make("chat", weight: 0.6), .make("code", weight: 0.4)]
    func table<T>(_ value: (Int, Int) -> T) -> [[T]] {
      tasks.indices.map { task in (0..<miners).map { value(task, $0) } }
    }
    return PeriodSnapshot(
      id: PeriodID(startSeconds: start), startMilliseconds: start * 1000,
      endMilliseconds: (start + 3600) * 1000, profile: profile, validatorHotkey: "v", tasks: tasks,
      miners: (0..<miners).map {
        MinerRecord(hotkey: "m\($0)", uid: $0 + 10, address: "http://127.0.0.1:\(8000 + $0)")
      },
      capacities: table(capacity), testVolumes: table { capacity($0, $1) * 0.05 }, counts: table(count),
      configDigest: "0123456789abcdef")
  }
}

extension AttemptEntry {
  /// A settling, good synthetic attempt of 1200 characters in two seconds.
  static func make(
    _ period: Int = 3600, task: String = "chat", miner: Int = 0, number: Int = 0,
    outcome: Outcome = .ok, workMilli: Int = 300_000, kind: JobKind = .synthetic, settles: Bool = true
  ) -> AttemptEntry {
    let job = SyntheticJob(
      period: PeriodID(startSeconds: period), task: task, miner: miner, number: number)
    return AttemptEntry(
      job: kind == .synthetic ? job.description : "o:\(number)", kind: kind,
      period: PeriodID(startSeconds: period), task: task, hotkey: "m\(miner)", outcome: outcome,
      status: 200, workMilli: workMilli, units: workMilli / 250, firstContentMilliseconds: 300,
      totalMilliseconds: 2000, settles: settles)
  }
}

/// A ledger in the making: entries with ascending ids.
struct LedgerScript {
  var entries: [(id: String, entry: LedgerEntry)] = []
  private var milliseconds: Int

  /// - Parameter start: the first entry's time, in seconds.
  init(start: Int = 3600) { milliseconds = start * 1000 }

  /// Appends an entry, one millisecond after the one before, or at a given time.
  mutating func append(_ entry: LedgerEntry, atSeconds seconds: Int? = nil) {
    milliseconds = max(milliseconds + 1, (seconds ?? 0) * 1000)
    entries.append(("\(milliseconds)-0", entry))
  }

  /// Appends a verdict on an attempt.
  mutating func judge(_ attempt: AttemptEntry, _ score: Double?, atSeconds seconds: Int? = nil) {
    let verdict = VerdictEntry(
      check: "c:\(entries.count)", attempt: attempt, state: score == nil ? .unjudged : .judged,
      score: score)
    append(.verdict(verdict), atSeconds: seconds)
  }

  /// Folds all entries into a state.
  @discardableResult
  func fold(into state: inout FoldState) -> [PeriodResult] {
    entries.compactMap { state.apply($0.entry, id: $0.id) }
  }

  /// The results of folding all entries into a new state.
  var results: [PeriodResult] {
    var state = FoldState()
    return fold(into: &state)
  }
}

extension PeriodResult {
  /// The weights by hotkey; nil when nothing is set.
  var weights: [String: Double]? {
    guard case .weights(let weights) = outcome else { return nil }
    return Dictionary(uniqueKeysWithValues: weights.map { ($0.hotkey, $0.weight) })
  }

  /// One miner's result at one task.
  func miner(_ hotkey: String, _ task: String) -> MinerResult? {
    tasks.first { $0.task == task }?.miners.first { $0.factors.hotkey == hotkey }
  }
}
