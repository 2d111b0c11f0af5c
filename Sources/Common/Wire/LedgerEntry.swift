/// One entry of the ledger, the append-only stream from which alone scores are computed.
/// docs/LEDGER.md describes each field.
public enum LedgerEntry: Equatable, Sendable {
  /// A period was planned.
  case opened(PeriodSnapshot)
  /// One attempt at one miner ended.
  case attempt(AttemptEntry)
  /// A checking server judged an answer, or could not.
  case verdict(VerdictEntry)
  /// A planned query was not sent.
  case skipped(SkipEntry)
  /// A job was given up.
  case dead(DeadEntry)
  /// A period was closed: later entries of it are kept and not scored.
  case closed(PeriodID)
}

/// One attempt at one miner.
public struct AttemptEntry: Equatable, Sendable {
  /// The job's id.
  public var job: String
  /// Organic or synthetic.
  public var kind: JobKind
  /// The period whose roster was used.
  public var period: PeriodID
  /// The task's name.
  public var task: String
  /// The miner.
  public var hotkey: String
  /// How it ended.
  public var outcome: Outcome
  /// The HTTP status; 0 when there was none.
  public var status: Int
  /// Work done, in thousandths of a volume unit, as measured by the validator.
  public var workMilli: Int
  /// Characters, steps or embeddings: what the speed factor divides by.
  public var units: Int
  /// From the request's start to the first valid content, in milliseconds; nil without content.
  public var firstContentMilliseconds: Int?
  /// From the request's start to its end, in milliseconds.
  public var totalMilliseconds: Int
  /// Whether this entry settles a planned query: exactly one entry does for each.
  public var settles: Bool

  /// Collects an attempt's figures.
  public init(
    job: String, kind: JobKind, period: PeriodID, task: String, hotkey: String, outcome: Outcome,
    status: Int, workMilli: Int, units: Int, firstContentMilliseconds: Int?, totalMilliseconds: Int,
    settles: Bool
  ) {
    self.job = job
    self.kind = kind
    self.period = period
    self.task = task
    self.hotkey = hotkey
    self.outcome = outcome
    self.status = status
    self.workMilli = workMilli
    self.units = units
    self.firstContentMilliseconds = firstContentMilliseconds
    self.totalMilliseconds = totalMilliseconds
    self.settles = settles
  }
}

/// What a checking server said of one answer.
public struct VerdictEntry: Equatable, Sendable {
  /// What became of the check.
  public enum State: String, Sendable {
    /// The server gave a score.
    case judged
    /// The server could not judge: neither credit nor penalty.
    case unjudged
    /// The check failed for good: neither credit nor penalty.
    case failed
  }

  /// The check's id.
  public var check: String
  /// The attempt that is judged: its figures, with the outcome `ok`.
  public var attempt: AttemptEntry
  /// What became of the check.
  public var state: State
  /// The raw score, on the server's scale of -10 to 1; nil unless judged.
  public var score: Double?

  /// Collects a verdict.
  public init(check: String, attempt: AttemptEntry, state: State, score: Double?) {
    self.check = check
    self.attempt = attempt
    self.state = state
    self.score = score
  }
}

/// A planned query that was not sent.
public struct SkipEntry: Equatable, Sendable {
  /// Why it was not sent.
  public enum Reason: String, Sendable {
    /// Organic and synthetic work already covered the miner's test volume.
    case volume
    /// The miner left the roster, or its address changed hands.
    case deregistered
    /// The period ended first.
    case expired
  }

  /// The planned query.
  public var job: SyntheticJob
  /// Why.
  public var reason: Reason

  /// Names a skipped query.
  public init(job: SyntheticJob, reason: Reason) {
    self.job = job
    self.reason = reason
  }
}

/// A job that was given up.
public struct DeadEntry: Equatable, Sendable {
  /// The job's id.
  public var job: String
  /// What it was for.
  public var kind: JobKind
  /// Why, in a few words.
  public var reason: String

  /// Names a job that was given up.
  public init(job: String, kind: JobKind, reason: String) {
    self.job = job
    self.kind = kind
    self.reason = reason
  }
}
