import Foundation

/// A classifier for tests: AdaBoost on decision stumps (Freund and Schapire 1997).
struct Stumps {
  private struct Stump {
    var feature: Int
    var threshold: Double
    /// +1 when values above the threshold speak for the class, −1 when those below do.
    var sign: Double
    var weight: Double
  }

  private var stumps: [Stump] = []

  /// Learns from rows of features and whether each belongs to the class.
  init(_ rows: [[Double]], _ labels: [Bool], rounds: Int = 60) {
    var weights = [Double](repeating: 1 / Double(rows.count), count: rows.count)
    let thresholds = Stumps.thresholds(rows)
    for _ in 0..<rounds {
      var best: (stump: Stump, error: Double)?
      for feature in rows[0].indices {
        for threshold in thresholds[feature] {
          var error = 0.0
          for index in rows.indices where (rows[index][feature] > threshold) != labels[index] {
            error += weights[index]
          }
          let sign: Double = error <= 0.5 ? 1 : -1
          let least = min(error, 1 - error)
          if least < best?.error ?? .infinity {
            best = (Stump(feature: feature, threshold: threshold, sign: sign, weight: 0), least)
          }
        }
      }
      guard var (stump, error) = best, error < 0.5 else { break }
      error = max(error, 1e-9)
      stump.weight = 0.5 * log((1 - error) / error)
      stumps.append(stump)
      for index in rows.indices {
        let vote = stump.sign * (rows[index][stump.feature] > stump.threshold ? 1 : -1)
        weights[index] *= exp(-stump.weight * vote * (labels[index] ? 1 : -1))
      }
      let sum = weights.reduce(0, +)
      for index in weights.indices { weights[index] /= sum }
    }
  }

  /// Between the sixteenths of each feature's values.
  private static func thresholds(_ rows: [[Double]]) -> [[Double]] {
    rows[0].indices.map { feature in
      let values = rows.map { $0[feature] }.sorted()
      let cuts = (1..<16).map { values[$0 * values.count / 16] }
      return Array(Set(cuts + [values[0]])).sorted()
    }
  }

  /// How much speaks for the class.
  func score(_ row: [Double]) -> Double {
    stumps.reduce(0) { $0 + $1.weight * $1.sign * (row[$1.feature] > $1.threshold ? 1 : -1) }
  }

  /// The area under the curve: the probability that a row of the class scores above another one.
  func area(_ rows: [[Double]], _ labels: [Bool]) -> Double {
    let scored = zip(rows.map(score), labels).sorted { $0.0 < $1.0 }
    var (ranks, positives, index) = (0.0, 0.0, 0)
    while index < scored.count {
      var end = index
      while end < scored.count, scored[end].0 == scored[index].0 { end += 1 }
      for item in scored[index..<end] where item.1 {
        ranks += Double(index + end + 1) / 2
        positives += 1
      }
      index = end
    }
    let negatives = Double(scored.count) - positives
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)
  }

  /// Learns from each half and judges the other one: the mean of both areas.
  static func areaByHalves(_ rows: [[Double]], _ labels: [Bool]) -> Double {
    let halves = [0, 1].map { half in rows.indices.filter { $0 % 2 == half } }
    let areas = [(0, 1), (1, 0)].map { learnt, judged in
      let stumps = Stumps(halves[learnt].map { rows[$0] }, halves[learnt].map { labels[$0] }, rounds: 40)
      return stumps.area(halves[judged].map { rows[$0] }, halves[judged].map { labels[$0] })
    }
    return (areas[0] + areas[1]) / 2
  }
}
