@testable import Common

/// From rows and records to weights, as `rayonlabs/nineteen` did it.
struct GoldenV6Pipeline {
  var result: JSON
  /// Why this program may differ; the first reason found.
  var defect: String?
  /// Whether the original cannot compute it.
  var raises = false

  /// The pipeline over rows that the original's readers had already chosen.
  static func recorded(_ input: JSON, _ rule: GoldenV6.BonusRule) throws -> GoldenV6Pipeline {
    var defect: String?
    var raises = true
    for (task, settings) in input["tasks"]!.sortedMembers {
      let rows = input["rewards"]![task] ?? .array([])
      let records = input["period_scores"]![task] ?? .object([:])
      defect = defect ?? GoldenV6.nonFinite(records) ?? GoldenV6.unusual(rows: rows)
      raises = raises && settings["weight"]!.real! == 0 || rows.elements.contains { $0[3] == .null }
    }
    let subnet = try SubnetInput(input, profile: .nineteen, order: JSON.KeyOrder())
    let output = SubnetScores(subnet, bonuses: rule).output
    return GoldenV6Pipeline(
      result: compared(output, hotkey: "miner_hotkey"), defect: defect, raises: raises)
  }

  /// The pipeline over the raw tables, with the reading of rows and records in it.
  ///
  /// - Parameter filled: fills up to 50 rows with the newest of any task, as the original did.
  static func fromTables(_ input: JSON, filled: Bool) -> GoldenV6Pipeline {
    let contenders = input["contenders"]!.elements
    let profile = GoldenV6.profile
    let tasks = input["tasks"]!.sortedMembers.map { task, weight in
      var rows: [(hotkey: String, rows: [QualityRow])] = []
      let newestFirst = input["reward_rows"]!.elements.sorted { $0[5]!.real! < $1[5]!.real! }
      for node in input["nodes"]!.elements {
        let hotkey = node.text!
        let ofHotkey = newestFirst.filter { $0[1]!.text == hotkey }
        let own = ofHotkey.filter { $0[0]!.text == task }
        let count = profile.rowsThatCount(
          times: own.map { -Int($0[5]!.real! * 1000) }, anchorMilliseconds: 0)
        let recent = ofHotkey.filter { $0[5]!.real! * 1000 <= Double(profile.rewardWindowMilliseconds) }
        let fill = filled ? recent.prefix(max(0, 50 - count)) : []
        let chosen = own.prefix(count) + fill
        rows.append((hotkey, chosen.map { QualityRow(quality: $0[2]!.real!, speed: $0[3]!.real) }))
      }
      var records: [String: [HistoryRecord]] = [:]
      let history = input["history_rows"]!.elements.filter { $0[0]!.text == task }
      for row in history.sorted(by: { $0[4]!.real! < $1[4]!.real! }) {
        records[row[1]!.text!, default: []].append(HistoryRecord(score: row[2]!.real, volume: row[3]!.real!))
      }
      let rule = filled ? GoldenV6.bonusesByOrder : ScoringProfile.metricBonuses
      return factors(task, weight: weight.real!, contenders, rows: rows, records: records, rule)
    }
    let nodes = contenders.map { ($0["hotkey"]!.text!, $0["node_id"]!.int!) }
    return GoldenV6Pipeline(result: result(tasks, Dictionary(nodes) { first, _ in first }), defect: nil)
  }

  static func factors(
    _ task: String, weight: Double, _ contenders: [JSON], rows: [(hotkey: String, rows: [QualityRow])],
    records: [String: [HistoryRecord]], _ rule: GoldenV6.BonusRule
  ) -> TaskFactors {
    // Ranks are over all hotkeys with rows, as in the original.
    let qualities = GoldenV6.profile.qualities(
      shape: task == "avatar" ? .avatar : .chat, rows: rows.map(\.rows), bonuses: rule)
    let byHotkey = Dictionary(uniqueKeysWithValues: zip(rows.map(\.hotkey), qualities))
    let miners = contenders.filter { $0["task"]!.text == task }.map { contender in
      let hotkey = contender["hotkey"]!.text!
      return MinerFactors(
        hotkey: hotkey, capacity: contender["capacity"]!.real!, quality: byHotkey[hotkey] ?? .none,
        history: GoldenV6.profile.history(records[hotkey] ?? []))
    }
    return TaskFactors(task: task, weight: weight, miners: miners)
  }

  static func result(_ tasks: [TaskFactors], _ nodes: [String: Int]) -> JSON {
    let shared = GoldenV6.profile.shared(tasks)
    var weights: [String: JSON] = [:]
    if case .set(let set) = GoldenV6.profile.weights(shared) {
      for (hotkey, weight) in set where weight > 0 { weights[String(nodes[hotkey]!)] = .number(weight) }
    }
    var stats: [String: JSON] = [:]
    for task in shared where task.miners.contains(where: { $0.share > 0 }) {
      for miner in task.miners where miner.quality.rows > 0 {
        stats["\(miner.hotkey) \(task.task)"] = .object([
          "average_quality_score": .number(miner.quality.average),
          "metric_bonus": .number(miner.quality.speed),
          "combined_quality_score": .number(miner.quality.combined),
          "period_score_multiplier": .number(miner.history.multiplier),
          "normalised_period_score": .number(miner.history.normalised),
          "contender_capacity": .number(miner.capacity), "normalised_net_score": .number(miner.share),
        ])
      }
    }
    return .object(["weights": .object(weights), "stats": .object(stats)])
  }

  /// The recorded output in the same form.
  static func compared(_ output: JSON, hotkey: String) -> JSON {
    guard !output.isError else { return output }
    var weights = output["weights_by_node_id"]?.members ?? [:]
    for (node, weight) in zip(output["node_ids"]?.elements ?? [], output["node_weights"]?.elements ?? []) {
      weights[String(node.int!)] = weight
    }
    let stats = (output["stats"]?.elements ?? []).map { row in
      (
        "\(row[hotkey]!.text!) \(row["task"]!.text!)",
        row.only(
          "average_quality_score", "metric_bonus", "combined_quality_score", "period_score_multiplier",
          "normalised_period_score", "contender_capacity", "normalised_net_score")
      )
    }
    return .object([
      "weights": .object(weights.filter { $0.value.real != 0 }),
      "stats": .object(Dictionary(uniqueKeysWithValues: stats)),
    ])
  }
}
