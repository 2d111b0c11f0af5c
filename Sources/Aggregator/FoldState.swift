import Common
import Foundation

/// A past period of one miner and task: `[start in seconds, score, work in thousandths]`.
struct PastPeriod: Codable, Equatable, Sendable {
  var startSeconds: Int
  var score: Double
  var workMilli: Int

  init(startSeconds: Int, score: Double, workMilli: Int) {
    self.startSeconds = startSeconds
    self.score = score
    self.workMilli = workMilli
  }

  init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    startSeconds = try list.decode(Int.self)
    score = try list.decode(Double.self)
    workMilli = try list.decode(Int.self)
  }

  func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    try list.encode(startSeconds)
    try list.encode(score)
    try list.encode(workMilli)
  }
}

/// What the fold has seen that enters no score.
public struct FoldTotals: Codable, Equatable, Sendable {
  /// Entries of a period that is closed or was never opened.
  public internal(set) var late = 0
  /// Entries that settle a query a second time.
  public internal(set) var duplicates = 0
  /// Entries that name a task, miner or query that their period does not have, or are not sound.
  public internal(set) var unknown = 0
  /// Periods given up because too many were open.
  public internal(set) var abandoned = 0
  /// Organic jobs given up.
  public internal(set) var deadOrganics = 0
  /// Checks given up.
  public internal(set) var deadChecks = 0
  /// Verdicts that count.
  public internal(set) var judged = 0
  /// Checks without a verdict: neither credit nor penalty.
  public internal(set) var unjudged = 0

  enum CodingKeys: String, CodingKey {
    case late, duplicates, unknown, abandoned, judged, unjudged
    case deadOrganics = "dead_organics"
    case deadChecks = "dead_checks"
  }
}

/// All that scores are computed from: the ledger folded up to one entry.
///
/// Everything in it has a maximum: open periods, closed ones remembered, tasks, hotkeys per task, verdicts
/// and period scores per task and hotkey. Equal states encode to equal bytes.
public struct FoldState: Equatable, Sendable, Codable {
  /// The layout of the encoded state.
  public static let currentVersion = 2
  /// The layouts that can be read. Layout 1 had no proven volumes: all miners begin as newcomers.
  static let readableVersions = 1...2
  /// The most periods that are open at once.
  public static let openPeriodsMax = 4
  /// The most closed periods that are remembered, so that none is opened again.
  public static let closedPeriodsMax = 64
  /// The most tasks with verdicts or history.
  public static let tasksMax = 128
  /// The most hotkeys per task with verdicts or history.
  public static let hotkeysMax = 4096

  private(set) var version: Int
  /// The last entry that was folded in; entries up to it are ignored.
  public internal(set) var lastID = LedgerID.zero
  /// What was seen and enters no score.
  public internal(set) var totals = FoldTotals()
  /// By start.
  var open: [OpenPeriod] = []
  /// By start.
  var closed: [PeriodID] = []
  /// Verdicts by task and hotkey, oldest first.
  @Packed var rows: [String: [String: [RewardRow]]] = [:]
  /// When the newest verdict of each task came, in Unix milliseconds.
  var newestVerdict: [String: Int] = [:]
  /// Scores of past periods by task and hotkey, oldest first.
  @Packed var history: [String: [String: [PastPeriod]]] = [:]
  /// What was proven of the claims, by task and hotkey: thousandths of a volume unit per profile period.
  /// nil in a state of layout 1.
  private var provenVolumes: [String: [String: Int]]? = [:]

  /// What was proven of the claims, by task and hotkey: thousandths of a volume unit per profile period.
  var proven: [String: [String: Int]] {
    get { provenVolumes ?? [:] }
    set { provenVolumes = newValue }
  }

  enum CodingKeys: String, CodingKey {
    case version, totals, open, closed, rows, history
    case lastID = "last_id"
    case newestVerdict = "newest_verdict"
    case provenVolumes = "proven"
  }

  /// Nothing folded yet.
  public init() { version = Self.currentVersion }

  /// The periods that are open, by start.
  public var openPeriods: [PeriodID] { open.map(\.snapshot.id) }

  /// The balance of an open period; nil when it is not open.
  public func balance(of period: PeriodID) -> PeriodBalance? {
    open.first { $0.snapshot.id == period }?.balance
  }

  /// How many verdicts are kept for a miner and task.
  public func verdictCount(task: String, hotkey: String) -> Int { rows[task]?[hotkey]?.count ?? 0 }

  /// The state as JSON with sorted keys.
  public func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// Reads what `encoded` wrote. Throws Foundation's `DecodingError` for anything else, other versions
  /// included.
  public init(decoding data: Data) throws {
    self = try JSONDecoder().decode(FoldState.self, from: data)
    guard Self.readableVersions.contains(version) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [CodingKeys.version], debugDescription: "fold state version \(version)"))
    }
    version = Self.currentVersion
    provenVolumes = provenVolumes ?? [:]
  }
}
