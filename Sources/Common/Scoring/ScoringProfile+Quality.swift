import Foundation

/// One judged answer, as the quality formulas see it.
public struct QualityRow: Equatable, Sendable {
  /// The verdict, as the checking server gave it.
  public var quality: Double
  /// `vision`: the speed factor. `nineteen`: work per second. Nil when it could not be measured.
  public var speed: Double?

  /// A judged answer.
  public init(quality: Double, speed: Double?) {
    self.quality = quality
    self.speed = speed
  }

  /// The row with its verdict clamped to 0…1; nil when a figure is missing or not finite: no verdict.
  var sane: (quality: Double, speed: Double)? {
    guard quality.isFinite, let speed, speed.isFinite, speed >= 0 else { return nil }
    return (min(max(quality, 0), 1), speed)
  }
}

/// How good a miner's answers to one task are.
public struct TaskQuality: Codable, Equatable, Sendable {
  /// Verdicts that counted.
  public var rows: Int
  /// `vision`: mean verdict. `nineteen`: mean of verdict^1.5, squared when at most 0.85.
  public var average: Double
  /// `vision`: mean speed factor. `nineteen`: the rank bonus, −0.25 to 0.25.
  public var speed: Double
  /// What enters the weight; 0 without verdicts.
  public var combined: Double

  /// No verdict at all.
  public static let none = TaskQuality(rows: 0, average: 0, speed: 0, combined: 0)
}

extension ScoringProfile {
  /// The `nineteen` profile squares an average quality up to this, except for avatars.
  static let squaredQualityMax = 0.85

  /// The qualities of all miners of one task, in the given order.
  ///
  /// `vision`: the mean of quality · speed factor. `nineteen`: the average quality times one plus the
  /// rank bonus, over all miners with a verdict (`namoray/vision validation/weight_setting/calculations.py`,
  /// `rayonlabs/nineteen validator/control_node/src/cycle/calculations.py`). Verdicts are clamped to
  /// 0…1 first, and rows with a figure that is not finite are left out, so that they touch nobody.
  public func qualities(shape: PayloadShape, rows: [[QualityRow]]) -> [TaskQuality] {
    qualities(shape: shape, rows: rows, bonuses: Self.metricBonuses)
  }

  /// The qualities, with the rule that turns the miners' speeds into bonuses.
  func qualities(
    shape: PayloadShape, rows: [[QualityRow]], bonuses rule: ([Double]) -> [Double]
  ) -> [TaskQuality] {
    let sane = rows.map { $0.compactMap(\.sane) }
    switch name {
    case .vision:
      return sane.map { rows in
        guard !rows.isEmpty else { return .none }
        let count = Double(rows.count)
        return TaskQuality(
          rows: rows.count, average: rows.map(\.quality).sumInAnyOrder() / count,
          speed: rows.map(\.speed).sumInAnyOrder() / count,
          combined: rows.map { $0.quality * $0.speed }.sumInAnyOrder() / count)
      }
    case .nineteen:
      let metrics = sane.map { Self.metricScore($0.map { $0.quality * $0.speed }) }
      var bonuses = rule(metrics.compactMap(\.self)).makeIterator()
      return zip(sane, metrics).map { rows, metric in
        guard metric != nil, let bonus = bonuses.next() else { return .none }
        let mean = rows.map { pow($0.quality, 1.5) }.sumInAnyOrder() / Double(rows.count)
        let squared = mean <= Self.squaredQualityMax && shape != .avatar
        let average = squared ? mean * mean : mean
        return TaskQuality(
          rows: rows.count, average: average, speed: bonus, combined: average * (1 + bonus))
      }
    }
  }
}
