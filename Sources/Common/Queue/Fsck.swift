/// What a check of the queue's invariants found.
public struct FsckReport: Sendable {
  /// What is wrong with a job, a counter or a record.
  public enum Kind: String, Sendable, CaseIterable {
    /// A job stands in no place, in several, or in another than its state says.
    case misplaced
    /// A place or a stored body names a job that has no record.
    case noRecord = "no_record"
    /// A record is of the wrong type, or a state or id that nobody writes.
    case damaged
    /// A running job has no token.
    case noToken = "no_token"
    /// What must go away by itself would stay for ever, or what must stay would vanish.
    case lifetime
    /// A request or an answer is missing, or was left behind.
    case body
    /// The deadlines hold a job that does not wait.
    case deadline
    /// A reply ended too early, not at all, twice, or has a gap.
    case reply
    /// A counter differs from what it counts.
    case counter
    /// A period's queries do not add up.
    case period
    /// The ledger cannot be read, or settles a planned query twice.
    case ledger
  }

  /// One broken invariant.
  public struct Problem: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var kind: Kind
    /// The job's id, or the key without the shard's prefix.
    public var key: String
    /// What was found, in a few words.
    public var detail: String
    /// How it is repaired.
    var mend: FsckMend

    /// One line.
    public var description: String { "\(kind.rawValue) \(key): \(detail)" }
  }

  /// Most problems that are kept; more are only counted.
  public static let problemsMax = 1_000

  /// What is broken, in the order in which it was found.
  public internal(set) var problems: [Problem] = []
  /// Problems beyond the first `problemsMax`.
  public internal(set) var furtherCount = 0
  /// What was looked at: jobs by place, ledger entries, replies.
  public internal(set) var counts: [String: Int] = [:]
  /// Workers that have a fence.
  var workers: [String] = []

  /// Whether every invariant holds.
  public var isClean: Bool { problems.isEmpty && furtherCount == 0 }

  /// The report as lines for a terminal: the problems, then the counts by name.
  public var lines: [String] {
    var result = problems.map(\.description)
    if furtherCount > 0 { result.append("and \(furtherCount) more") }
    result += counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return result
  }

  /// The same problem is met again where several keys lead to one job.
  private var known: Set<Problem> = []

  mutating func add(_ kind: Kind, job id: String, _ detail: String) { add(kind, id, detail, .job(id)) }

  mutating func add(_ kind: Kind, _ key: String, _ detail: String, _ mend: FsckMend) {
    let problem = Problem(kind: kind, key: key, detail: detail, mend: mend)
    if known.contains(problem) { return }
    guard problems.count < FsckReport.problemsMax else {
      furtherCount += 1
      return
    }
    known.insert(problem)
    problems.append(problem)
  }

  mutating func count(_ name: String, _ amount: Int = 1) { counts[name, default: 0] += amount }
}

/// Checks the queue's invariants, page by page: each job stands in exactly one place and is stored whole,
/// replies end once and have no gaps, counters and periods add up, the ledger settles each planned query
/// once. Reads only. Memory: one page, and one bit for each planned query of the periods in the ledger.
@IO
public struct Fsck {
  let queue: JobQueue
  let isLive: Bool
  /// Time between the two looks at a live queue.
  static let pauseMilliseconds = 300

  /// A check of one shard.
  /// - Parameter isLive: others work on the queue meanwhile, so that a page can be older than the next: only
  ///   what is found twice, a pause apart and unchanged, is a problem. A difference between counters that
  ///   never rest is found when they do.
  public init(_ queue: JobQueue, isLive: Bool = false) {
    self.queue = queue
    self.isLive = isLive
  }

  /// Looks at everything once, and when `isLive` again at what seems broken.
  /// - Throws: what the connection throws; the queue is not changed.
  public func run() async throws(RedisError) -> FsckReport {
    let first = try await pass()
    guard isLive, !first.isClean else { return first }
    await EventLoop.shared.sleep(milliseconds: Fsck.pauseMilliseconds)
    var second = try await pass()
    let before = Set(first.problems)
    second.problems.removeAll { !before.contains($0) }
    second.furtherCount = min(first.furtherCount, second.furtherCount)
    return second
  }

  private func pass() async throws(RedisError) -> FsckReport {
    let pass = FsckPass(queue)
    // What is of a wrong type can be neither walked nor counted.
    guard try await pass.areTypesSound() else { return pass.report }
    try await pass.walkPlaces()
    try await pass.walkKeys()
    try await pass.checkCounters()
    try await pass.walkLedger()
    try await pass.checkPeriods()
    return pass.report
  }
}
