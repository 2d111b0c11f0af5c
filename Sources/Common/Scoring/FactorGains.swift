/// What a miner would have weighed with one factor at its best value and all else as it was.
public struct FactorGain: Equatable, Sendable {
  /// The task.
  public var task: String
  /// The factor: `capacity`, `verdicts`, `speed factor`, `rank bonus`, `period scores` or `newcomer`.
  public var factor: String
  /// Its value.
  public var from: Double
  /// Its best value.
  public var to: Double
  /// The miner's weight then.
  public var weight: Double
  /// How much more that is than it was; never negative.
  public var gain: Double
}

extension ScoringProfile {
  /// What each factor of a miner costs it, the largest gain first.
  ///
  /// The best value of a verdict, a period score and the newcomer's multiplier is 1, of the rank bonus 0.25;
  /// of the speed factor and the capacity it is the best that any miner has at the task. The other miners
  /// stay as they are, so a gain is what this miner could have had, not what all could have together.
  /// - Parameters:
  ///   - shared: every miner's factors with their shares.
  ///   - hotkey: the miner.
  public func gains(_ shared: [TaskFactors], of hotkey: String) -> [FactorGain] {
    let before = weights(shared).byHotkey[hotkey] ?? 0
    var gains: [FactorGain] = []
    for (index, task) in shared.enumerated() where task.weight > 0 {
      guard let place = task.miners.firstIndex(where: { $0.hotkey == hotkey }) else { continue }
      for change in improvements(task.miners[place], at: task) where change.to > change.from {
        var tasks = shared
        tasks[index].miners[place] = change.miner
        tasks[index] = self.shared([tasks[index]])[0]
        let after = weights(tasks).byHotkey[hotkey] ?? 0
        gains.append(
          FactorGain(
            task: task.task, factor: change.factor, from: change.from, to: change.to, weight: after,
            gain: max(after - before, 0)))
      }
    }
    return gains.sorted { ($1.gain, $0.task, $0.factor) < ($0.gain, $1.task, $1.factor) }
  }

  private typealias Improvement = (factor: String, from: Double, to: Double, miner: MinerFactors)

  private func improvements(_ miner: MinerFactors, at task: TaskFactors) -> [Improvement] {
    func with(
      capacity: Double? = nil, combined: Double? = nil, mean: Double? = nil, multiplier: Double? = nil
    ) -> MinerFactors {
      var (quality, history) = (miner.quality, miner.history)
      quality.combined = combined ?? quality.combined
      history.mean = mean ?? history.mean
      history.multiplier = multiplier ?? history.multiplier
      return MinerFactors(
        hotkey: miner.hotkey, capacity: capacity ?? miner.capacity, quality: quality, history: history)
    }
    let quality = miner.quality
    let largest = task.miners.map(\.capacity.finiteOrZero).max() ?? 0
    var changes: [Improvement] = [
      ("capacity", miner.capacity, largest, with(capacity: largest)),
      ("period scores", miner.history.mean, 1, with(mean: 1)),
      ("newcomer", miner.history.multiplier, 1, with(multiplier: 1)),
    ]
    guard quality.rows > 0 else {
      // Good answers at the mean speed, once somebody had judged them.
      return changes + [("verdicts", 0, 1, with(combined: 1))]
    }
    switch name {
    case .vision:
      // Quality is the mean of verdict times speed: each part is scaled alone.
      let judged = quality.average > 0 ? quality.combined / quality.average : quality.speed
      changes.append(("verdicts", quality.average, 1, with(combined: judged)))
      let fastest = task.miners.filter { $0.quality.rows > 0 }.map(\.quality.speed).max() ?? quality.speed
      let sped =
        quality.speed > 0 ? quality.combined / quality.speed * fastest : quality.average * fastest
      changes.append(("speed factor", quality.speed, fastest, with(combined: sped)))
    case .nineteen:
      changes.append(("verdicts", quality.average, 1, with(combined: 1 + quality.speed)))
      if task.miners.count(where: { $0.quality.rows > 0 }) > 1 {
        changes.append(("rank bonus", quality.speed, 0.25, with(combined: quality.average * 1.25)))
      }
    }
    return changes
  }
}
