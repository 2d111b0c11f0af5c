/// Repairs what ``Fsck`` finds, and loses nothing: what can be made whole is, what cannot stands in the dead list
/// or in the ledger with a reason, and what is taken out of the way is kept for a week under `lost:`.
///
/// Safe beside a pipeline at work: each job is mended at one moment, by what is there then, and counters move by
/// differences.
@IO
public struct FsckRepair {
  /// What was done, and what is left.
  public struct Outcome: Sendable {
    /// A line for each repair.
    public var lines: [String] = []
    /// The last look at everything.
    public var report = FsckReport()
  }

  /// Looks after which it gives up: each leaves fewer kinds of damage than the one before.
  static let roundsMax = 12
  /// Jobs that one script repairs: each is looked for in every lane, and no script may take 5 ms.
  private static let batch = 20
  /// How long a job that lost its lease is left to its worker, in ms.
  static let leaseMilliseconds = 15_000

  private let queue: JobQueue
  private let isLive: Bool

  /// A repair of one shard.
  /// - Parameter isLive: as for ``Fsck``.
  public init(_ queue: JobQueue, isLive: Bool = false) {
    self.queue = queue
    self.isLive = isLive
  }

  /// Looks and repairs by turns, until nothing is wrong or nothing helps any more.
  /// - Throws: what the connection throws. What was repaired until then stays so; run it again.
  public func run() async throws(RedisError) -> Outcome {
    var outcome = Outcome()
    for _ in 0..<FsckRepair.roundsMax {
      outcome.report = try await Fsck(queue, isLive: isLive).run()
      guard let step = outcome.report.problems.map(\.mend.step).min() else { return outcome }
      let problems = outcome.report.problems.filter { $0.mend.step == step }
      // The worker of a job whose record is gone cannot be told from the others.
      for worker in outcome.report.workers { _ = try await queue.mend("fence", [worker]) }
      let done = try await perform(problems)
      outcome.lines += done
      if done.isEmpty { return outcome }
    }
    outcome.report = try await Fsck(queue, isLive: isLive).run()
    return outcome
  }

  private func perform(_ problems: [FsckReport.Problem]) async throws(RedisError) -> [String] {
    var lines: [String] = []
    var jobs: [JobMend] = []
    var periods: [PeriodID] = []
    for problem in problems {
      switch problem.mend {
      case .job(let id): if !jobs.contains(where: { $0.id == id }) { jobs.append(JobMend(id: id)) }
      case .reply(let id, let strays, let hasGap):
        jobs.removeAll { $0.id == id }
        jobs.append(JobMend(id: id, strays: strays, hasGap: hasGap))
      case .period(let period): if !periods.contains(period) { periods.append(period) }
      case .aside(let name):
        _ = try await queue.mend("aside", [name])
        lines.append("\(name): set aside as \(Keys.aside)\(name)")
      case .entry(let id):
        _ = try await queue.mend("entry", [id])
        lines.append("ledger \(id): set aside in \(Keys.aside)ledger")
      case .life(let name, let seconds):
        _ = try await queue.mend("life", [name, String(seconds)])
        lines.append("\(name): " + (seconds == 0 ? "stays" : "ends in \(seconds) s"))
      case .count(let key, let field, let by):
        _ = try await queue.mend("count", [key.rawValue, field, String(by)])
        lines.append("\(key.rawValue) \(field): \(by > 0 ? "+" : "")\(by)")
      }
    }
    lines += try await repair(jobs)
    for period in periods { lines += try await PeriodRepair(queue, period).run() }
    return lines
  }

  private func repair(_ jobs: [JobMend]) async throws(RedisError) -> [String] {
    var lines: [String] = []
    let lanes = try await queue.checkLanes()
    for start in stride(from: 0, to: jobs.count, by: FsckRepair.batch) {
      let part = jobs[start..<min(start + FsckRepair.batch, jobs.count)]
      let done = try await queue.repair(part, lanes: lanes, leaseMilliseconds: FsckRepair.leaseMilliseconds)
      for (job, what) in zip(part, done) where !what.isEmpty { lines.append("\(job.id): \(what)") }
    }
    return lines
  }
}
