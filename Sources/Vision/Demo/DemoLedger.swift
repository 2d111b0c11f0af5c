import Common

/// What the ledger says of a demo's period, up to its close.
struct DemoLedger: Equatable {
  /// A miner at a task.
  struct Claim: Hashable {
    var task: String
    var hotkey: String
  }

  /// How often each planned query was settled.
  private(set) var settled: [SyntheticJob: Int] = [:]
  /// Verdicts with a score, by whose answers they are of.
  private(set) var judged: [Claim: Int] = [:]
  /// Verdicts without one.
  private(set) var unjudged = 0
  private var isClosed = false

  /// Reads the whole ledger.
  @IO static func read(_ queue: JobQueue, _ period: PeriodID) async throws(RedisError) -> DemoLedger {
    var ledger = DemoLedger()
    var cursor = ""
    while true {
      let records = try await queue.readLedger(after: cursor, limit: 1000)
      for record in records {
        cursor = record.id
        if let entry = record.entry { ledger.note(entry, period) }
      }
      if records.count < 1000 { return ledger }
    }
  }

  /// Takes an entry in.
  mutating func note(_ entry: LedgerEntry, _ period: PeriodID) {
    var job: SyntheticJob?
    switch entry {
    case .attempt(let attempt): if attempt.settles { job = SyntheticJob(id: attempt.job) }
    case .skipped(let skip): job = skip.job
    case .dead(let dead): job = SyntheticJob(id: dead.job)
    case .closed(let closed): if closed == period { isClosed = true }
    case .verdict(let verdict) where !isClosed:
      if verdict.state == .judged {
        judged[.init(task: verdict.attempt.task, hotkey: verdict.attempt.hotkey), default: 0] += 1
      } else {
        unjudged += 1
      }
    default: break
    }
    if let job, job.period == period { settled[job, default: 0] += 1 }
  }
}
