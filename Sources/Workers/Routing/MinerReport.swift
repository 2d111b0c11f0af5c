import Common

/// What one worker tells the others of a miner at a task. Times are relative, since clocks differ.
package struct MinerReport: Equatable, Sendable {
  package var hotkey: String
  /// Requests of the worker that are under way.
  package var inFlight: Int
  /// How long ago the worker itself observed the miner, ms; nil when its latest news is another worker's,
  /// which must not come back as if it were new.
  package var ageMilliseconds: Int?
  package var firstMilliseconds: Double
  package var paceMilliseconds: Double
  package var earlyFailures: Double
  package var lateFailures: Double
  package var limit: Double
  package var failuresInRow: Int
  package var ejections: Int
  /// For how long the breaker stays open, ms.
  package var ejectedMilliseconds: Int
  /// For how long the miner has no room, ms.
  package var pausedMilliseconds: Int
}

extension Router {
  /// Miners of one task in a report; the latest observed are told.
  package static let reportedMax = 256
  /// What was observed longer ago is known to the others, ms.
  package static let reportedMilliseconds = 3_000

  /// What the other workers should know of a task.
  package func report(task: String, now: Monotonic) -> [MinerReport] {
    guard let view = tasks[task] else { return [] }
    let told = view.miners.filter { _, health in
      guard health.isOwnNews, let seen = health.observedAt else { return health.inFlight > 0 }
      return health.inFlight > 0 || health.isEjected(at: now) || health.isPaused(at: now)
        || now.milliseconds(since: seen) <= Router.reportedMilliseconds
    }
    let latest = told.sorted {
      ($1.value.observedAt ?? .distantPast, $0.key) < ($0.value.observedAt ?? .distantPast, $1.key)
    }
    return latest.prefix(Router.reportedMax).map { MinerReport($0.key, $0.value, at: now) }
  }

  /// Takes over what other workers know of a task. Each list is all that one worker told, `age` ms ago;
  /// a worker whose report expired is not among them, and with it goes what it had in flight.
  ///
  /// Of two observations of a miner the later one stands: each worker builds on what it took over, and tells
  /// only what it observed itself.
  package mutating func adopt(
    task: String, reports: [(ageMilliseconds: Int, miners: [MinerReport])], now: Monotonic
  ) {
    var view = tasks[task] ?? TaskView()
    tasks[task] = nil
    for hotkey in view.miners.keys where view.miners[hotkey]?.inFlightElsewhere != 0 {
      view.miners[hotkey]?.inFlightElsewhere = 0
    }
    for report in reports {
      for miner in report.miners.prefix(Router.reportedMax) {
        guard view.miners.count < tuning.minersMax || view.miners[miner.hotkey] != nil else { continue }
        view.miners[miner.hotkey, default: MinerHealth(tuning)]
          .adopt(miner, ageMilliseconds: report.ageMilliseconds, at: now, tuning)
      }
    }
    tasks[task] = view
  }
}

extension MinerReport {
  init(_ hotkey: String, _ health: MinerHealth, at now: Monotonic) {
    self.hotkey = hotkey
    inFlight = health.inFlight
    ageMilliseconds = health.isOwnNews ? health.observedAt.map { max(0, now.milliseconds(since: $0)) } : nil
    firstMilliseconds = health.firstMilliseconds
    paceMilliseconds = health.paceMilliseconds
    earlyFailures = health.earlyFailures
    lateFailures = health.lateFailures
    limit = health.limit
    failuresInRow = health.failuresInRow
    ejections = health.ejections
    ejectedMilliseconds = health.ejectedUntil.map { max(0, $0.milliseconds(since: now)) } ?? 0
    pausedMilliseconds = health.pausedUntil.map { max(0, $0.milliseconds(since: now)) } ?? 0
  }
}

extension MinerHealth {
  mutating func adopt(
    _ report: MinerReport, ageMilliseconds: Int, at now: Monotonic, _ tuning: RouterTuning
  ) {
    inFlightElsewhere += max(0, report.inFlight)
    guard let age = report.ageMilliseconds else { return }
    let seen = now.advanced(milliseconds: -(age + ageMilliseconds))
    guard observedAt.map({ $0 < seen }) ?? true else { return }
    observedAt = seen
    isOwnNews = false
    sharesAt = seen
    firstMilliseconds = report.firstMilliseconds
    paceMilliseconds = report.paceMilliseconds
    earlyFailures = report.earlyFailures
    lateFailures = report.lateFailures
    limit = min(tuning.limitMax, max(tuning.limitMin, report.limit))
    failuresInRow = report.failuresInRow
    ejections = report.ejections
    ejectedUntil = MinerHealth.moment(report.ejectedMilliseconds - ageMilliseconds, after: now)
    pausedUntil = MinerHealth.moment(report.pausedMilliseconds - ageMilliseconds, after: now)
  }

  private static func moment(_ milliseconds: Int, after now: Monotonic) -> Monotonic? {
    milliseconds > 0 ? now.advanced(milliseconds: milliseconds) : nil
  }
}

extension Monotonic {
  fileprivate static let distantPast = Monotonic(nanoseconds: .min)
}
