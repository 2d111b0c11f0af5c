import Foundation

/// How long the first content takes at a task, as a histogram that forgets: pure.
package struct FirstContentTimes: Equatable, Sendable {
  /// Each bucket is an eighth longer than the one before.
  private static let ratio = 1.125
  private static let bucketsMax = 96
  /// At this weight all buckets are halved.
  private static let weightMax = 1_000.0
  /// Fewer observations say nothing about a rare quantile.
  private static let weightMin = 20.0

  private var buckets = [Double](repeating: 0, count: FirstContentTimes.bucketsMax)
  private var weight = 0.0

  package init() {}

  /// Adds one observation.
  package mutating func add(milliseconds: Double) {
    let index = Int((log2(max(1, milliseconds)) / log2(FirstContentTimes.ratio)).rounded(.down))
    buckets[min(index, FirstContentTimes.bucketsMax - 1)] += 1
    weight += 1
    guard weight >= FirstContentTimes.weightMax else { return }
    for index in buckets.indices { buckets[index] /= 2 }
    weight /= 2
  }

  /// The upper end of the bucket in which the quantile lies, ms; nil while too little was seen.
  package func quantile(_ quantile: Double) -> Double? {
    guard weight >= FirstContentTimes.weightMin else { return nil }
    var rest = weight * quantile
    for (index, count) in buckets.enumerated() {
      rest -= count
      if rest <= 0 { return pow(FirstContentTimes.ratio, Double(index + 1)) }
    }
    return pow(FirstContentTimes.ratio, Double(FirstContentTimes.bucketsMax))
  }
}
