import Common

/// Earned capacity in the fold: proven volumes are brought up to date when a period is closed.
extension FoldState {
  /// The least proven volume that is kept, in thousandths per profile period.
  private static let provenMilliMin = 1000

  /// What a period shows of every claim, by task and miner, and the proven volumes after it. All nil when
  /// the period was planned without: nothing stays proven then.
  mutating func earn(_ period: OpenPeriod, _ profile: ScoringProfile) -> [[EarnedPeriod?]] {
    let snapshot = period.snapshot
    guard snapshot.earnedCapacity == true else {
      proven = [:]
      return snapshot.tasks.map { _ in snapshot.miners.map { _ in nil } }
    }
    var after: [String: [String: Int]] = [:]
    for (task, byHotkey) in proven {
      // A miner or task that this period does not have fades like a claim of nothing.
      let kept = byHotkey.mapValues { $0 - $0 / Int(1 / EarnedCapacity.fade) }
      after[task] = kept.filter { $0.value >= Self.provenMilliMin }
    }
    let all = snapshot.tasks.enumerated().map { taskIndex, task in
      snapshot.miners.enumerated().map { minerIndex, miner -> EarnedPeriod? in
        let earned = profile.earned(
          period.counters[taskIndex][minerIndex], claim: snapshot.capacities[taskIndex][minerIndex],
          provenMilli: proven[task.name]?[miner.hotkey] ?? 0, queryVolume: task.expectedVolume,
          periodSeconds: snapshot.lengthSeconds)
        let isKept = earned.proven >= Self.provenMilliMin && hasRoom(after, task.name, miner.hotkey)
        after[task.name, default: [:]][miner.hotkey] = isKept ? earned.proven : nil
        return earned
      }
    }
    proven = after.filter { !$0.value.isEmpty }
    return all
  }

  private func hasRoom(_ proven: [String: [String: Int]], _ task: String, _ hotkey: String) -> Bool {
    guard let byHotkey = proven[task] else { return proven.count < Self.tasksMax }
    return byHotkey[hotkey] != nil || byHotkey.count < Self.hotkeysMax
  }
}
