import Common
import Foundation

/// One miner's weight.
public struct MinerWeight: Codable, Equatable, Sendable {
  /// The miner.
  public var hotkey: String
  /// Its place on the subnet in the period's roster.
  public var uid: Int
  /// Its share of the whole, above 0; all weights sum to 1.
  public var weight: Double
  /// The weight as the chain takes it; 0 when it is too small for the chain.
  public var value: UInt16
}

/// What is to be set on the chain.
public enum WeightsOutcome: Codable, Equatable, Sendable {
  /// These weights, by uid.
  case weights([MinerWeight])
  /// Nothing, for this reason.
  case nothing(reason: String)

  private enum CodingKeys: String, CodingKey { case weights, nothing }

  /// Reads `{"weights": […]}` or `{"nothing": "why"}`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if container.contains(.nothing) {
      self = .nothing(reason: try container.decode(String.self, forKey: .nothing))
    } else {
      self = .weights(try container.decode([MinerWeight].self, forKey: .weights))
    }
  }

  /// Writes `{"weights": […]}` or `{"nothing": "why"}`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .weights(let weights): try container.encode(weights, forKey: .weights)
    case .nothing(let reason): try container.encode(reason, forKey: .nothing)
    }
  }
}

/// One miner's period at one task: every factor of its weight.
public struct MinerResult: Codable, Equatable, Sendable {
  /// The miner's place on the subnet.
  public var uid: Int
  /// What it did in the period: `[attempts, rate limits, failures, work in thousandths]`.
  public var counters: PeriodCounters
  /// The period's score; nil when nothing was asked.
  public var periodScore: Double?
  /// Capacity, quality, history and share.
  public var factors: MinerFactors
  /// What the period showed of the claim; nil when the claim itself is what counts.
  public var earned: EarnedPeriod?

  enum CodingKeys: String, CodingKey {
    case uid, counters, factors, earned
    case periodScore = "period_score"
  }
}

/// One task of a closed period.
public struct TaskResult: Codable, Equatable, Sendable {
  /// The task's name.
  public var task: String
  /// The task's weight.
  public var weight: Double
  /// The miners that claim capacity for it, in the roster's order.
  public var miners: [MinerResult]
}

/// What the fold computes when a period is closed.
public struct PeriodResult: Codable, Equatable, Sendable {
  /// The layout of this record.
  public static let currentVersion = 1

  /// The layout version.
  public var version = PeriodResult.currentVersion
  /// The period.
  public var period: PeriodID
  /// The scoring profile.
  public var profile: String
  /// The digest of the configuration that it was planned from.
  public var configDigest: String
  /// What became of its planned queries.
  public var balance: PeriodBalance
  /// Every factor, by task and miner.
  public var tasks: [TaskResult]
  /// What is to be set on the chain.
  public var outcome: WeightsOutcome
  /// The ledger entry that opened the period.
  public var firstLedgerID: LedgerID
  /// The ledger entry that closed it.
  public var lastLedgerID: LedgerID
  /// The exported part of the ledger that it can be recomputed from; nil when nothing is exported.
  public var segment: SegmentReference?

  enum CodingKeys: String, CodingKey {
    case version, period, profile, balance, tasks, outcome, segment
    case configDigest = "config_digest"
    case firstLedgerID = "first_ledger_id"
    case lastLedgerID = "last_ledger_id"
  }
}

extension PeriodResult {
  /// The result as JSON with sorted keys: the text that Redis and the export keep. Equal results give equal
  /// texts.
  public func encodedText() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
