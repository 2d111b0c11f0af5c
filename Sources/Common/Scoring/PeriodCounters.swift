import Foundation

/// Work, as the validator measures it.
public enum Work {
  /// The most work that one answer can count for, in thousandths.
  public static let milliMax = 1_000_000_000_000

  /// The work of a good answer, in thousandths of a volume unit: a quarter unit per character, or one
  /// unit per step or embedding; a text answer without characters counts as one unit
  /// (`namoray/vision validation/proxy/work_and_speed_functions.py`).
  /// - Parameter units: characters (Unicode code points), steps or embeddings; nil without an answer.
  public static func milli(of kind: TaskKind, units: Int?) -> Int {
    guard let units, units >= 0 else { return 0 }
    switch kind {
    case .text: return units == 0 ? 1000 : min(units, milliMax / 250) * 250
    case .image, .embeddings: return min(units, milliMax / 1000) * 1000
    }
  }
}

/// What one miner did in one period at one task. Integers only: no order of entries changes them.
public struct PeriodCounters: Codable, Equatable, Sendable {
  /// Attempts that count.
  public private(set) var total = 0
  /// Of these, refused for lack of room.
  public private(set) var rateLimits = 0
  /// Of these, failed in another way.
  public private(set) var failures = 0
  /// Work of the good ones, in thousandths of a volume unit.
  public private(set) var workMilli = 0

  /// Nothing done yet.
  public init() {}

  /// Counts one attempt. Synthetic and organic attempts count alike.
  public mutating func count(_ outcome: Outcome, workMilli work: Int) {
    switch outcome.counter {
    case .none: return
    case .good: workMilli = min(workMilli + min(max(work, 0), Work.milliMax), Int.max / 2)
    case .rateLimit: rateLimits += 1
    case .failure: failures += 1
    }
    total += 1
  }

  /// Reads `[total, rate limits, failures, work]`.
  public init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    total = try list.decode(Int.self)
    rateLimits = try list.decode(Int.self)
    failures = try list.decode(Int.self)
    workMilli = try list.decode(Int.self)
  }

  /// Writes `[total, rate limits, failures, work]`.
  public func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    for value in [total, rateLimits, failures, workMilli] { try list.encode(value) }
  }
}

extension ScoringProfile {
  /// The score of one miner, task and period, 0 to 1; nil when nothing was asked or nothing claimed.
  ///
  /// With u the part of the capacity that was not used, the good part of the attempts is multiplied by
  /// (1 − rate-limit part · u) and, once or twice, by (1 − failure part · u): a failure costs the more
  /// the less the miner had done (`namoray/vision validation/models.py`,
  /// `rayonlabs/nineteen validator/models.py`).
  /// - Parameters:
  ///   - capacity: clamped capacity of this period, in volume units.
  ///   - volume: work done, in volume units.
  public func periodScore(
    total: Int, rateLimits: Int, failures: Int, capacity: Double, volume: Double
  ) -> Double? {
    guard total > 0, capacity.isFinite, capacity > 0 else { return nil }
    let floor = max(capacity, 1)
    let unused = max(floor - volume.finiteOrZero, 0) / floor
    let good = Double(total - rateLimits - failures) / Double(total)
    let rateLimitFactor = 1 - Double(rateLimits) / Double(total) * unused
    let failureFactor = pow(1 - Double(failures) / Double(total) * unused, Double(failureExponent))
    return max(good * rateLimitFactor * failureFactor, 0)
  }

  /// The score of a period's counters.
  public func periodScore(_ counters: PeriodCounters, capacity: Double) -> Double? {
    periodScore(
      total: counters.total, rateLimits: counters.rateLimits, failures: counters.failures,
      capacity: capacity, volume: Double(counters.workMilli) / 1000)
  }
}
