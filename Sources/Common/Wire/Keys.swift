/// Every Redis key, spelled once. All keys of a shard begin with `<namespace>:{<shard>}:`, so that a Redis
/// Cluster keeps them together.
public struct Keys: Sendable, Equatable {
  /// What all keys of the shard begin with.
  public let prefix: String

  /// The keys of one shard of one installation.
  /// - Parameter namespace: letters, digits, `-` and `_`; several installations may share a Redis.
  public init(namespace: String = "vision", shard: String = "q") {
    prefix = "\(namespace):{\(shard)}:"
  }

  /// The keys with fixed names. ARCHITECTURE.md says what each holds.
  public enum Fixed: String, CaseIterable, Sendable {
    /// Waiting organic jobs, by order of admission.
    case organic
    /// Waiting organic jobs, by deadline.
    case organicDeadline = "organic:deadline"
    /// Synthetic jobs, by the time at which they are due.
    case due
    /// Running jobs, by the end of their lease.
    case lease
    /// Jobs that were given up.
    case dead
    /// Bytes that the jobs of the dead list keep.
    case deadBytes = "dead:bytes"
    /// Every outcome, in order.
    case ledger
    /// Periods that are not closed yet.
    case periods
    /// Classes of work that are paused.
    case paused
    /// The bucket that keeps overdue synthetics from bursting.
    case pace
    /// Ledger entries by type.
    case counts
    /// Counters of the check lanes.
    case checks
    /// Which check each checking server was given last and has no verdict for.
    case checksBegun = "checks:begun"
    /// Verdicts by task and miner.
    case verdicts
    /// Requests and tokens by account and task.
    case usage
    /// The last admission number.
    case admission
    /// The tasks that users can ask.
    case tasks
    /// What the door takes at most: waiting requests, bytes of a payload.
    case limits
    /// A random mark that stays as long as the data does: without it Redis was emptied.
    case born
    /// Set while a recovery pass is too recent for another.
    case recovering
    /// The aggregator's state and how far it read.
    case fold
    /// What miners have proven of their claims, for the next plan.
    case proven
    /// The current weights.
    case weights
    /// What the current weights were computed from.
    case weightsMeta = "weights:meta"
    /// Past results, newest first.
    case weightsHistory = "weights:history"
    /// Marker: an organic job waits.
    case wakeOrganic = "wake:organic"
    /// Marker: when the next synthetic is due.
    case wakeDue = "wake:due"
    /// Marker: an answer waits to be checked.
    case wakeCheck = "wake:check"
    /// Only in builds of the scripts for tests: the clock, in ms.
    case testClock = "test:clock"
    /// Only in builds of the scripts for tests: the share of Redis's memory that is used.
    case testMemory = "test:memory"
  }

  /// Beginnings of what `vision fsck --repair` set aside.
  public static let aside = "lost:"

  /// A key with a fixed name.
  public func fixed(_ key: Fixed) -> String { prefix + key.rawValue }
  /// The record of a job.
  public func job(_ id: String) -> String { prefix + "job:" + id }
  /// The request of an organic job.
  public func payload(_ id: String) -> String { prefix + "payload:" + id }
  /// The reply stream of an organic job.
  public func reply(_ id: String) -> String { prefix + "reply:" + id }
  /// The bytes of an answer that waits to be checked.
  public func answer(_ id: String) -> String { prefix + "answer:" + id }
  /// The answers of a task that wait to be checked.
  public func check(_ task: String) -> String { prefix + "check:" + task }
  /// The record of a period.
  public func period(_ period: PeriodID) -> String { prefix + "period:\(period)" }
  /// Volumes tested and used in a period, by task and miner.
  public func volume(_ period: PeriodID) -> String { prefix + "period:\(period):volume" }
  /// What workers know of a task's miners, by worker.
  public func route(_ task: String) -> String { prefix + "route:" + task }
  /// Running means of the verdicts of a task, by miner.
  public func quality(_ task: String) -> String { prefix + "quality:" + task }
  /// A worker's heartbeat.
  public func worker(_ id: String) -> String { prefix + "worker:" + id }
  /// The marker that wakes one worker.
  public func wakeWorker(_ id: String) -> String { prefix + "wake:worker:" + id }
  /// What holds a worker's right to append unseen.
  public func fence(_ worker: String) -> String { prefix + "fence:" + worker }
  /// Who holds a single role.
  public func leader(_ role: String) -> String { prefix + "leader:" + role }
}
