import Common

/// What became of a period's planned queries. Each is settled by exactly one ledger entry.
public struct PeriodBalance: Codable, Equatable, Sendable {
  /// Planned queries.
  public internal(set) var planned: Int
  /// Settled by a good answer.
  public internal(set) var done = 0
  /// Settled by a refusal or a failure of the miner.
  public internal(set) var failed = 0
  /// Settled by an attempt that is nobody's fault.
  public internal(set) var neutral = 0
  /// Not sent: the volume was covered, or the miner had left.
  public internal(set) var skipped = 0
  /// Not sent: the period ended first.
  public internal(set) var expired = 0
  /// Given up.
  public internal(set) var dead = 0
  /// Entries that settle a query a second time: counted here and scored nowhere.
  public internal(set) var duplicates = 0

  /// Planned queries that no entry has settled.
  public var missing: Int { planned - done - failed - neutral - skipped - expired - dead }
}

/// A period between its `opened` and its `closed` entry.
struct OpenPeriod: Equatable, Sendable {
  /// The most planned queries of a period.
  static let plannedMax = 4_000_000
  /// The latest time, in Unix ms: far beyond all need, and far from where sums overflow.
  static let timeMax = 1 << 52

  let snapshot: PeriodSnapshot
  let firstID: LedgerID
  private(set) var balance: PeriodBalance
  /// By task, then miner.
  private(set) var counters: [[PeriodCounters]]
  private var settled: BitSet

  /// Follow from the snapshot.
  private let taskIndex: [String: Int]
  private let minerIndex: [String: Int]
  /// The number of the first planned query, by task, then miner.
  private let firstQuery: [[Int]]

  /// What an entry meant to the period.
  enum Effect: Equatable {
    /// It was counted.
    case counted
    /// Its query was settled before: not counted.
    case duplicate
    /// It names a task, miner or query that the period does not have: not counted.
    case unknown
  }

  /// Starts a period; nil when the snapshot is not sound.
  init?(_ snapshot: PeriodSnapshot, firstID: LedgerID) {
    self.init(
      snapshot, firstID: firstID, balance: PeriodBalance(planned: 0), counters: [],
      settled: BitSet(count: 0), fresh: true)
  }

  private init?(
    _ snapshot: PeriodSnapshot, firstID: LedgerID, balance: PeriodBalance, counters: [[PeriodCounters]],
    settled: BitSet, fresh: Bool
  ) {
    let (tasks, miners) = (snapshot.tasks.count, snapshot.miners.count)
    func isSquare<T>(_ table: [[T]]) -> Bool {
      table.count == tasks && table.allSatisfy { $0.count == miners }
    }
    let taskIndex = Dictionary(snapshot.tasks.enumerated().map { ($1.name, $0) }) { first, _ in first }
    let minerIndex = Dictionary(snapshot.miners.enumerated().map { ($1.hotkey, $0) }) { first, _ in first }
    let times = [snapshot.startMilliseconds, snapshot.endMilliseconds, snapshot.id.startSeconds]
    guard times.allSatisfy((0...Self.timeMax).contains), times[0] < times[1] else { return nil }
    guard ProfileName(rawValue: snapshot.profile) != nil, taskIndex.count == tasks,
      minerIndex.count == miners, isSquare(snapshot.capacities), isSquare(snapshot.counts)
    else { return nil }
    var planned = 0
    var firstQuery: [[Int]] = []
    for row in snapshot.counts {
      var numbers: [Int] = []
      for count in row {
        guard (0...Self.plannedMax).contains(count) else { return nil }
        numbers.append(planned)
        planned += count
      }
      guard planned <= Self.plannedMax else { return nil }
      firstQuery.append(numbers)
    }
    self.snapshot = snapshot
    self.firstID = firstID
    self.balance = fresh ? PeriodBalance(planned: planned) : balance
    self.counters =
      fresh ? snapshot.counts.map { $0.map { _ in PeriodCounters() } } : counters
    self.settled = fresh ? BitSet(count: planned) : settled
    self.taskIndex = taskIndex
    self.minerIndex = minerIndex
    self.firstQuery = firstQuery
    guard isSquare(self.counters), self.settled.fits(count: planned) else { return nil }
  }

  /// Counts an attempt at a miner.
  mutating func count(_ attempt: AttemptEntry) -> Effect {
    guard let task = taskIndex[attempt.task], let miner = minerIndex[attempt.hotkey] else {
      return .unknown
    }
    if attempt.kind == .synthetic {
      guard let job = SyntheticJob(id: attempt.job), job.miner == miner, job.task == attempt.task else {
        return .unknown
      }
      if attempt.settles {
        let effect = settle(job, as: Self.place(of: attempt.outcome))
        guard effect == .counted else { return effect }
      }
    }
    counters[task][miner].count(attempt.outcome, workMilli: attempt.workMilli)
    return .counted
  }

  /// Where a settling attempt stands in the balance.
  private static func place(of outcome: Outcome) -> WritableKeyPath<PeriodBalance, Int> {
    switch outcome.counter {
    case .good: return \.done
    case .rateLimit, .failure: return \.failed
    case .none: return \.neutral
    }
  }

  /// Settles a planned query.
  mutating func settle(_ job: SyntheticJob, as place: WritableKeyPath<PeriodBalance, Int>) -> Effect {
    guard job.period == snapshot.id, let task = taskIndex[job.task],
      snapshot.counts[task].indices.contains(job.miner), job.number < snapshot.counts[task][job.miner]
    else { return .unknown }
    guard settled.insert(firstQuery[task][job.miner] + job.number) else {
      balance.duplicates += 1
      return .duplicate
    }
    balance[keyPath: place] += 1
    return .counted
  }
}

extension OpenPeriod: Codable {
  private enum CodingKeys: String, CodingKey {
    case snapshot, balance, counters, settled
    case firstID = "first_id"
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let period = OpenPeriod(
      try container.decode(PeriodSnapshot.self, forKey: .snapshot),
      firstID: try container.decode(LedgerID.self, forKey: .firstID),
      balance: try container.decode(PeriodBalance.self, forKey: .balance),
      counters: try container.decode([[PeriodCounters]].self, forKey: .counters),
      settled: try container.decode(BitSet.self, forKey: .settled), fresh: false)
    guard let period else {
      throw DecodingError.dataCorruptedError(
        forKey: .snapshot, in: container, debugDescription: "the period's tables do not fit its snapshot")
    }
    self = period
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(snapshot, forKey: .snapshot)
    try container.encode(firstID, forKey: .firstID)
    try container.encode(balance, forKey: .balance)
    try container.encode(counters, forKey: .counters)
    try container.encode(settled, forKey: .settled)
  }
}
