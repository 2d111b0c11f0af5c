import Foundation

extension ScoringProfile {
  /// The `vision` profile's speed factor: 1.6 for an instant answer, 1 at the task's mean time per unit,
  /// and exponentially less above it; 0 without an answer
  /// (`namoray/vision validation/proxy/work_and_speed_functions.py`).
  /// - Parameters:
  ///   - units: characters or steps that the time is divided by; embeddings are not divided.
  ///   - seconds: from the request's start to its end; nil when unknown.
  public func speedFactor(kind: TaskKind, units: Int, seconds: Double?, model: SpeedModel) -> Double {
    guard let seconds, seconds.isFinite, seconds >= 0 else { return 0 }
    let net = max(seconds - model.overheadSeconds, 0)
    switch kind {
    case .text, .image: return units > 0 ? Self.speedFactor(perUnit: net / Double(units), model: model) : 0
    case .embeddings: return Self.speedFactor(perUnit: net, model: model)
    }
  }

  /// The speed factor of a time per unit, in seconds.
  static func speedFactor(perUnit seconds: Double, model: SpeedModel) -> Double {
    guard seconds > model.mean else {
      return 1 + 0.6 * pow(model.mean - seconds, 0.25) / pow(model.mean, 0.25)
    }
    return exp((model.mean - seconds) * model.variance)
  }

  /// The `nineteen` profile's metric: work per second; nil without a time
  /// (`rayonlabs/nineteen validator/control_node/src/score_results/score_results.py`).
  public static func metric(work: Double, seconds: Double?) -> Double? {
    guard let seconds, seconds.isFinite, seconds > 0, work.isFinite, work >= 0 else { return nil }
    let metric = work / seconds
    return metric.isFinite ? metric : nil
  }

  /// The figure by which a miner is ranked: the one at three tenths of its ascending quality · metric
  /// values, so that a few lucky answers do not lift it. Nil without values.
  static func metricScore(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    return values.sorted()[Int(0.3 * Double(values.count))]
  }

  /// The bonus of each miner by its rank: +0.25 for the fastest, −0.25 for the slowest, 0 for a single
  /// one. Equal miners share the mean of their ranks; the original ranked them by insertion order.
  static func metricBonuses(_ scores: [Double]) -> [Double] {
    guard scores.count > 1 else { return scores.map { _ in 0 } }
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    var bonuses = scores
    var first = 0
    while first < order.count {
      var last = first
      while last + 1 < order.count, scores[order[last + 1]] == scores[order[first]] { last += 1 }
      let rank = Double(first + last) / 2
      for place in first...last { bonuses[order[place]] = 0.5 * (0.5 - rank / Double(scores.count - 1)) }
      first = last + 1
    }
    return bonuses
  }
}
