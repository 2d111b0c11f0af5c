@testable import Common

/// What workers tell each other, what the aggregator saves, and what is only looked at.
extension ReferenceQueue {
  static let reportLife = 100_000
  static let resultsKept = 3

  /// The other workers' reports on a task, oldest first, and the verdicts by hotkey.
  mutating func route(worker: String, task: String, report: String) -> (reports: [String], verdicts: [String])
  {
    routes[task, default: [:]][worker] = report.isEmpty ? nil : (now, report)
    routes[task] = routes[task]?.filter { $0.value.at + Self.reportLife > now }
    let others = (routes[task] ?? [:]).filter { $0.key != worker }
    return (
      others.values.map { "\(max(0, now - $0.at)) \($0.report)" }.sorted(),
      (judged[task] ?? [:]).map { "\($0.key) \($0.value)" }.sorted()
    )
  }

  /// State, requests that are served before, attempts and bytes; nil for a job that is not known.
  func status(_ id: String) -> String? {
    guard let job = jobs[id], job.kind == .organic else { return nil }
    let ahead = job.place == .organic ? organics.firstIndex(of: id).map(String.init) ?? "" : ""
    return
      "\(job.state) \(ahead) \(job.attempt ?? 0) \((job.state == "running" ? job.written?.bytes : job.replyBytes) ?? 0)"
  }

  mutating func leadFold(_ token: String, isKept: Bool) -> Bool {
    if let foldLeader, foldLeader != token { return false }
    foldLeader = isKept ? token : nil
    return isKept
  }

  mutating func checkpoint(
    _ token: String, from: String, to: String, result: String?
  ) -> JobQueue.CheckpointResult {
    guard foldLeader == token else { return .stale }
    guard cursor == from else { return cursor == to ? .ok : .moved }
    cursor = to
    if let result {
      if history.first != result { history.insert(result, at: 0) }
      history = Array(history.prefix(Self.resultsKept))
    }
    return .ok
  }
}
