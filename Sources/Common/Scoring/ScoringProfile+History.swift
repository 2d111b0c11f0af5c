/// The score of one past period of one miner and task.
public struct HistoryRecord: Equatable, Sendable {
  /// The period's score, 0 to 1; nil when there was none.
  public var score: Double?
  /// Work done in it, in volume units.
  public var volume: Double

  /// A past period.
  public init(score: Double?, volume: Double) {
    self.score = score
    self.volume = volume
  }
}

/// A miner's past at one task.
public struct HistoryScore: Codable, Equatable, Sendable {
  /// Periods with a score.
  public var records: Int
  /// Mean of their scores, weighed by volume, each period half as much as the one after it.
  public var mean: Double
  /// What a newcomer's mean is multiplied by.
  public var multiplier: Double
  /// Mean times multiplier: what enters the weight.
  public var normalised: Double { mean * multiplier }
}

extension ScoringProfile {
  /// Weighs a miner's past periods (`…calculations.py`, `_calculate_normalised_period_score`).
  /// A record without a score, or with a figure that no period can have, does not count.
  /// - Parameter newestFirst: the records, newest first.
  public func history(_ newestFirst: [HistoryRecord]) -> HistoryScore {
    let records = newestFirst.compactMap { record -> (score: Double, volume: Double)? in
      guard let score = record.score, score.isFinite, score >= 0, record.volume.isFinite,
        record.volume >= 0
      else { return nil }
      return (min(score, 1), record.volume)
    }
    let total = records.reduce(0) { $0 + $1.volume }
    var weighted = 0.0
    var weights = 0.0
    var decay = 1.0
    for record in records where total > 0 {
      let weight = record.volume / total * decay
      weighted += record.score * weight
      weights += weight
      decay *= 0.5
    }
    return HistoryScore(
      records: records.count, mean: weights > 0 ? weighted / weights : 0,
      multiplier: newcomerMultiplier(records: records.count))
  }

  /// `vision` lifts a newcomer step by step over 8 periods, `nineteen` at once after 8.
  public func newcomerMultiplier(records: Int) -> Double {
    switch name {
    case .vision: return 1 - max(0, 1 - Double(records) / 8) / 4
    case .nineteen: return records > 8 ? 1 : 0.25
    }
  }
}
