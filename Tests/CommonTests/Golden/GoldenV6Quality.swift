@testable import Common

/// Speed and quality of `rayonlabs/nineteen`, over its recorded rows `[hotkey, quality, metric, stream]`.
extension GoldenV6 {
  static func metric(_ input: JSON) -> JSON {
    let result = input["result"]!
    let image = tasks[input["task"]!.text!]!.kind == .image
    let answer = JSON.object([
      "task_type": .string("text"), "formatted_response": result["formatted_response"]!,
    ])
    let steps = input["payload"]!["steps"]?.int
    let milli = image ? Work.milli(of: .image, units: steps) : workMilli(answer)
    let work = Double(milli) / 1000
    let metric = ScoringProfile.metric(work: work, seconds: result["response_time"]?.real)
    // Only the miner that was asked is judged.
    guard let (_, score) = input["node_scores"]!.sortedMembers.first else { return .array([]) }
    return .array([
      .object([
        "quality_score": score, "metric": GoldenV4.optional(metric), "volume": .number(work),
      ])
    ])
  }

  static func comparedMetric(_ output: JSON) -> JSON {
    output.isError ? output : .array(output.elements.map { $0.only("quality_score", "metric", "volume") })
  }

  static func unusualMetric(_ input: JSON, _ output: JSON) -> String? {
    if output.isError { return "the original raises without a time: no speed, so no verdict" }
    return input["node_scores"]!.members.count > 1 ? "a verdict counts for the miner that was asked" : nil
  }

  static func qualityRow(_ row: JSON) -> QualityRow {
    QualityRow(quality: row[1]!.real ?? .nan, speed: row[2]!.real)
  }

  /// Rows by hotkey, in the order in which hotkeys first appear.
  static func byHotkey(_ rows: JSON) -> [(hotkey: String, rows: [QualityRow])] {
    var order: [String] = []
    var byHotkey: [String: [QualityRow]] = [:]
    for row in rows.elements {
      let hotkey = row[0]!.text!
      if byHotkey[hotkey] == nil { order.append(hotkey) }
      byHotkey[hotkey, default: []].append(qualityRow(row))
    }
    return order.map { ($0, byHotkey[$0]!) }
  }

  typealias BonusRule = @Sendable ([Double]) -> [Double]

  /// The original's rule: equal speeds are ranked by the order in which they come.
  static func bonusesByOrder(_ scores: [Double]) -> [Double] {
    guard scores.count > 1 else { return scores.map { _ in 0 } }
    let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
    var bonuses = scores
    for (rank, index) in order.enumerated() {
      bonuses[index] = 0.5 * (0.5 - Double(rank) / Double(scores.count - 1))
    }
    return bonuses
  }

  static func bonuses(_ scores: [JSON], _ rule: BonusRule) -> JSON {
    let pairs = zip(scores, rule(scores.map { $0[1]!.real! })).map { ($0[0]!.text!, JSON.number($1)) }
    return .object(Dictionary(uniqueKeysWithValues: pairs))
  }

  static func quality(_ input: JSON, _ rule: BonusRule) -> JSON {
    let miners = byHotkey(input["rewards_hotkey_quality_metric_stream"]!)
    let shape: PayloadShape = input["task"]!.text == "avatar" ? .avatar : .chat
    let qualities = profile.qualities(shape: shape, rows: miners.map(\.rows), bonuses: rule)
    var fields: [String: [String: JSON]] = ["combined": [:], "average_weighted": [:], "metric_bonuses": [:]]
    for (miner, quality) in zip(miners, qualities) where quality.rows > 0 {
      fields["combined"]![miner.hotkey] = .number(quality.combined)
      fields["average_weighted"]![miner.hotkey] = .number(quality.average)
      fields["metric_bonuses"]![miner.hotkey] = .number(quality.speed)
    }
    return .object(fields.mapValues(JSON.object))
  }

  static func comparedQuality(_ output: JSON) -> JSON {
    output.isError ? output : output.only("combined", "average_weighted", "metric_bonuses")
  }

  /// Why recorded rows may give another quality here; nil when they may not.
  static func unusual(rows: JSON) -> String? {
    if let reason = nonFinite(rows) { return reason }
    let outside = rows.elements.contains { $0[1]!.real.map { !(0...1).contains($0) } ?? false }
    if outside { return "a verdict outside 0 to 1 is clamped" }
    let scores = byHotkey(rows).compactMap { miner in
      ScoringProfile.metricScore(miner.rows.compactMap(\.sane).map { $0.quality * $0.speed })
    }
    return Set(scores).count < scores.count ? ties : nil
  }
}
