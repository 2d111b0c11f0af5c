/// One miner of a period's roster.
public struct MinerRecord: Codable, Equatable, Sendable {
  /// Who the miner is: every score is kept by hotkey.
  public var hotkey: String
  /// The miner's place on the subnet; reused by the chain.
  public var uid: Int
  /// Where the miner listens, such as `http://203.0.113.7:8091`, without a path.
  public var address: String
  /// The miner's stake.
  public var stake: Double

  /// Names a miner.
  public init(hotkey: String, uid: Int, address: String, stake: Double = 0) {
    self.hotkey = hotkey
    self.uid = uid
    self.address = address
    self.stake = stake
  }
}

/// All that a period was planned from. Stored once, never changed, and carried by the ledger's `opened`
/// entry, so that scores can be computed from the ledger alone. The seed of the plan is kept apart.
public struct PeriodSnapshot: Codable, Equatable, Sendable {
  /// The layout of this record.
  public static let currentVersion = 1

  /// The layout version.
  public var version = PeriodSnapshot.currentVersion
  /// The period.
  public var id: PeriodID
  /// The first millisecond (Unix time) at which its queries may run.
  public var startMilliseconds: Int
  /// The first millisecond at which they may not run any more.
  public var endMilliseconds: Int
  /// The scoring profile's name.
  public var profile: String
  /// The validator's own hotkey.
  public var validatorHotkey: String
  /// The tasks, in the configured order.
  public var tasks: [TaskConfig]
  /// The miners; jobs name them by index.
  public var miners: [MinerRecord]
  /// Clamped capacity per period of this length, by task then miner.
  public var capacities: [[Double]]
  /// Volume to test, by task then miner.
  public var testVolumes: [[Double]]
  /// Planned synthetic queries, by task then miner.
  public var counts: [[Int]]
  /// A digest of the configuration that the period was planned from.
  public var configDigest: String

  /// Whether miners are credited with what they have shown. nil, as in records from before there was the
  /// choice: with what they declare.
  public var earnedCapacity: Bool?

  /// Collects what a period is planned from.
  public init(
    id: PeriodID, startMilliseconds: Int, endMilliseconds: Int, profile: String, validatorHotkey: String,
    tasks: [TaskConfig], miners: [MinerRecord], capacities: [[Double]], testVolumes: [[Double]],
    counts: [[Int]], configDigest: String, earnedCapacity: Bool? = nil
  ) {
    self.id = id
    self.startMilliseconds = startMilliseconds
    self.endMilliseconds = endMilliseconds
    self.profile = profile
    self.validatorHotkey = validatorHotkey
    self.tasks = tasks
    self.miners = miners
    self.capacities = capacities
    self.testVolumes = testVolumes
    self.counts = counts
    self.configDigest = configDigest
    self.earnedCapacity = earnedCapacity
  }

  /// The period's length in whole seconds, at least one.
  public var lengthSeconds: Int { max(1, (endMilliseconds - startMilliseconds) / 1000) }

  /// How many synthetic queries the period plans in all.
  public var plannedCount: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }
}
