/// A scored subnet: every factor, and the weights.
public struct SubnetScores: Sendable {
  /// The task that the `nineteen` profile treats apart: an average quality of avatars is not squared.
  private static let avatar = "avatar"

  let input: SubnetInput
  /// Every factor, by task and miner, in the input's order.
  public let tasks: [TaskFactors]
  /// The weights, or why there are none.
  public let weights: SubnetWeights

  private var profile: ScoringProfile { .named(input.profile) }

  /// Scores a subnet by the rules of its profile.
  public init(_ input: SubnetInput) {
    self.init(input, bonuses: ScoringProfile.metricBonuses)
  }

  /// Scores a subnet, with the rule that turns the miners' speeds into bonuses.
  init(_ input: SubnetInput, bonuses rule: ([Double]) -> [Double]) {
    let profile = ScoringProfile.named(input.profile)
    self.input = input
    tasks = profile.shared(
      input.tasks.map { task in
        let shape: PayloadShape = task.name == Self.avatar ? .avatar : .chat
        let qualities = profile.qualities(shape: shape, rows: task.verdicts.map(\.rows), bonuses: rule)
        let byHotkey = Dictionary(zip(task.verdicts.map(\.hotkey), qualities)) { first, _ in first }
        let miners = task.claims.map { claim in
          MinerFactors(
            hotkey: claim.hotkey, capacity: claim.capacity, quality: byHotkey[claim.hotkey] ?? .none,
            history: profile.history(task.history[claim.hotkey] ?? []))
        }
        return TaskFactors(task: task.name, weight: task.weight, miners: miners)
      })
    weights = profile.weights(tasks)
  }

  /// The result in the layout in which the original's was recorded.
  public var output: JSON {
    switch input.profile {
    case .vision: return visionOutput
    case .nineteen: return nineteenOutput
    }
  }

  /// Every factor of every miner and task, and the weights that follow.
  public var explanation: JSON {
    let factors = zip(tasks, input.tasks).flatMap { task, given in
      task.shares.map { JSON.object(explained($0, share: $1, task, given)) }
    }
    var members: [String: JSON] = [
      "weights": .object(weights.byHotkey.mapValues(JSON.number)), "factors": .array(factors),
    ]
    if case .nothing(let reason) = weights { members["nothing_set"] = .string(reason) }
    return .object(members)
  }

  private func explained(
    _ miner: MinerFactors, share: Double, _ task: TaskFactors, _ given: SubnetInput.Task
  ) -> [String: JSON] {
    var members = miner.explanation(profile: profile, taskWeight: task.weight, share: share)
    members["task"] = .string(task.task)
    let records = given.history[miner.hotkey] ?? []
    members["period_score"] = records.lazy.compactMap(\.score).first.map(JSON.real) ?? .null
    let rows = given.verdicts.first { $0.hotkey == miner.hotkey }?.rows.count ?? 0
    members["counts"] = .object([
      "verdicts_given": .integer(rows), "verdicts_counted": .integer(miner.quality.rows),
      "periods_given": .integer(records.count), "periods_counted": .integer(miner.history.records),
    ])
    return members
  }

  // MARK: layouts

  /// A miner is listed once one of its tasks has any effective volume; its score is not brought to the sum 1.
  private var visionOutput: JSON {
    let points = profile.points(tasks)
    var order: [String] = []
    var listed: Set<String> = []
    for task in tasks where task.miners.contains(where: { $0.share > 0 }) {
      for miner in task.miners where listed.insert(miner.hotkey).inserted { order.append(miner.hotkey) }
    }
    let scores = order.map { ($0, JSON.real(points[$0] ?? 0)) }
    let perTask = tasks.map { task in
      (task.task, JSON.object(Dictionary(task.miners.map(Self.figures)) { first, _ in first }))
    }
    return .object([
      "scores": .object(Dictionary(scores) { first, _ in first }),
      "score_order": .array(order.map(JSON.string)),
      "per_task": .object(Dictionary(perTask) { first, _ in first }),
    ])
  }

  private static func figures(_ miner: MinerFactors) -> (hotkey: String, figures: JSON) {
    (
      miner.hotkey,
      .object([
        "combined_quality": .real(miner.quality.combined),
        "normalised_period": .real(miner.history.normalised), "volume": .real(miner.capacity),
      ])
    )
  }

  /// Statistics of each miner with verdicts at each task with any effective volume, and the nodes in the
  /// order in which they first stand there.
  private var nineteenOutput: JSON {
    var stats: [JSON] = []
    var nodes: [(hotkey: String, uid: Int)] = []
    var listed: Set<String> = []
    for (task, given) in zip(tasks, input.tasks) where task.miners.contains(where: { $0.share > 0 }) {
      let verdicts = Dictionary(given.verdicts.map { ($0.hotkey, $0) }) { first, _ in first }
      for (miner, claim) in zip(task.miners, given.claims) where miner.quality.rows > 0 {
        if listed.insert(miner.hotkey).inserted { nodes.append((miner.hotkey, claim.uid)) }
        stats.append(statistics(miner, task.task, verdicts[miner.hotkey]))
      }
    }
    var weights: [String: Double] = [:]
    if case .set(let set) = self.weights { weights = set } else { nodes = [] }
    let values = nodes.map { weights[$0.hotkey] ?? 0 }
    return .object([
      "node_ids": .array(nodes.map { .integer($0.uid) }), "node_weights": .array(values.map(JSON.real)),
      "stats": .array(stats), "nonzero": .integer(values.count { $0 > 0 }),
    ])
  }

  private func statistics(_ miner: MinerFactors, _ task: String, _ verdicts: SubnetInput.Verdicts?) -> JSON {
    let sane = zip(verdicts?.rows ?? [], verdicts?.streamMetrics ?? []).compactMap { row, stream in
      row.sane.map { (metric: $0.quality * $0.speed, stream: stream) }
    }
    func mean(_ values: [Double]) -> Double {
      values.isEmpty ? 0 : values.sumInAnyOrder() / Double(values.count)
    }
    let streams = sane.compactMap(\.stream).filter(\.isFinite)
    return .object([
      "miner_hotkey": .string(miner.hotkey), "task": .string(task),
      "average_quality_score": .real(miner.quality.average), "metric_bonus": .real(miner.quality.speed),
      "metric": .real(mean(sane.map(\.metric))), "stream_metric": .real(mean(streams)),
      "combined_quality_score": .real(miner.quality.combined),
      "period_score_multiplier": .real(miner.history.multiplier),
      "normalised_period_score": .real(miner.history.normalised),
      "contender_capacity": .real(miner.capacity), "normalised_net_score": .real(miner.share),
    ])
  }
}

extension TaskFactors {
  /// Each miner with its part of the task's effective volume before the power, 0 to 1.
  public var shares: [(miner: MinerFactors, share: Double)] {
    let largest = miners.map(\.effectiveVolume.finiteOrZero).max() ?? 0
    guard largest > 0 else { return miners.map { ($0, 0) } }
    // Dividing by the largest first keeps the sum finite.
    let scaled = miners.map { $0.effectiveVolume.finiteOrZero / largest }
    let sum = scaled.sumInAnyOrder()
    return zip(miners, scaled).map { ($0, $1 / sum) }
  }
}

extension MinerFactors {
  /// Every factor by name, for programs.
  /// - Parameters:
  ///   - taskWeight: the task's weight.
  ///   - share: the miner's part of the effective volume before the power.
  public func explanation(
    profile: ScoringProfile, taskWeight: Double, share: Double
  ) -> [String: JSON] {
    [
      "hotkey": .string(hotkey), "capacity": .real(capacity), "average_quality": .real(quality.average),
      profile.speedName: .real(quality.speed), "quality": .real(quality.combined),
      "history_mean": .real(history.mean), "newcomer_multiplier": .real(history.multiplier),
      "history_factor": .real(history.normalised), "effective_volume": .real(effectiveVolume),
      "share": .real(share), "transformed_share": .real(self.share), "task_weight": .real(taskWeight),
      "points": .real(self.share * taskWeight.finiteOrZero),
    ]
  }
}

extension ScoringProfile {
  /// What ``TaskQuality/speed`` is in this profile.
  public var speedName: String { name == .vision ? "speed_factor" : "rank_bonus" }
}
