/// The rules by which claims, answers and verdicts become weights: data, and the few formulas in which
/// the profiles differ. Every function is pure; docs/SCORING.md explains each formula and its source.
///
/// `vision` follows `namoray/vision` (version 4), `nineteen` follows `rayonlabs/nineteen` (version 6).
public struct ScoringProfile: Sendable {
  /// The profile's name.
  public let name: ProfileName
  /// A claim is a volume per this many seconds, whatever the actual length of a period.
  public let claimSeconds: Int
  /// How often the failure factor enters the period score.
  public let failureExponent: Int
  /// The power to which a miner's share of a task is raised.
  public let shareExponent: Int
  /// Verdicts older than this, in milliseconds before the newest one of the task, no longer count.
  public let rewardWindowMilliseconds: Int
  /// The most verdicts of one miner and task that count: the newest.
  public let rewardRowsMax: Int
  /// Period scores older than this, in milliseconds, no longer count.
  public let historyWindowMilliseconds: Int
  /// The most period scores of one miner and task that count: the newest.
  public let historyRecordsMax: Int
  /// How weights become 16-bit numbers.
  public let emission: ChainWeights.Emission

  /// The rules of `namoray/vision`. Its 72 hour window for verdicts never took effect; the deletion of
  /// rows after 48 hours was the real limit, and is the window here.
  public static let vision = ScoringProfile(
    name: .vision, claimSeconds: ProfileName.vision.periodSeconds, failureExponent: 1, shareExponent: 3,
    rewardWindowMilliseconds: 48 * 3_600_000, rewardRowsMax: 200,
    historyWindowMilliseconds: 48 * 3_600_000, historyRecordsMax: 48, emission: .bittensor)

  /// The rules of `rayonlabs/nineteen`.
  public static let nineteen = ScoringProfile(
    name: .nineteen, claimSeconds: ProfileName.nineteen.periodSeconds, failureExponent: 2,
    shareExponent: 4, rewardWindowMilliseconds: 5 * 86_400_000, rewardRowsMax: 200,
    historyWindowMilliseconds: 3 * 86_400_000, historyRecordsMax: 144, emission: .fiber)

  /// The profile of a name.
  public static func named(_ name: ProfileName) -> ScoringProfile {
    switch name {
    case .vision: return .vision
    case .nineteen: return .nineteen
    }
  }
}

extension [Double] {
  /// The sum, added from the smallest to the largest: the same bits for every order of the elements.
  func sumInAnyOrder() -> Double {
    var ascending = self
    ascending.sort()
    return ascending.reduce(0, +)
  }
}

extension Double {
  /// The value when it is finite and positive, else 0: what a miner's malformed figure counts as.
  var finiteOrZero: Double { isFinite && self > 0 ? self : 0 }
}
