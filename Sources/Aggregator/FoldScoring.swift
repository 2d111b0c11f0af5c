import Common

/// From a period's counters, the kept verdicts and the past to weights.
extension FoldState {
  /// Writes the period into the history and computes every factor and the weights.
  mutating func score(
    _ period: OpenPeriod, profile: ScoringProfile, closedBy lastLedgerID: LedgerID
  ) -> PeriodResult {
    let snapshot = period.snapshot
    let earned = earn(period, profile)
    var results: [TaskResult] = []
    for (taskIndex, task) in snapshot.tasks.enumerated() {
      var miners: [MinerResult] = []
      for (minerIndex, miner) in snapshot.miners.enumerated() {
        let claim = snapshot.capacities[taskIndex][minerIndex]
        guard claim.isFinite, claim > 0 else { continue }
        let counters = period.counters[taskIndex][minerIndex]
        let earned = earned[taskIndex][minerIndex]
        let capacity = earned?.credit ?? claim
        let score =
          earned.map { profile.periodScore(counters, earned: $0) }
          ?? profile.periodScore(counters, capacity: claim)
        if let score {
          append(
            PastPeriod(startSeconds: snapshot.id.startSeconds, score: score, workMilli: counters.workMilli),
            task: task.name, hotkey: miner.hotkey, profile: profile)
        }
        miners.append(
          MinerResult(
            uid: miner.uid, counters: counters, periodScore: score,
            factors: factors(miner.hotkey, task.name, capacity, at: snapshot.id, profile), earned: earned))
      }
      results.append(TaskResult(task: task.name, weight: task.weight, miners: miners))
    }
    rank(&results, tasks: snapshot.tasks, profile)
    return PeriodResult(
      period: snapshot.id, profile: snapshot.profile, configDigest: snapshot.configDigest,
      balance: period.balance, tasks: results, outcome: Self.outcome(results, profile),
      firstLedgerID: period.firstID, lastLedgerID: lastLedgerID)
  }

  /// Adds a period's score to the past, in the order of starts.
  private mutating func append(
    _ past: PastPeriod, task: String, hotkey: String, profile: ScoringProfile
  ) {
    guard history[task] != nil || history.count < Self.tasksMax,
      history[task]?[hotkey] != nil || (history[task]?.count ?? 0) < Self.hotkeysMax
    else { return }
    var records = history[task]?[hotkey] ?? []
    let place = records.lastIndex { $0.startSeconds < past.startSeconds }.map { $0 + 1 } ?? 0
    records.insert(past, at: place)
    if records.count > profile.historyRecordsMax { records.removeFirst() }
    history[task, default: [:]][hotkey] = records
  }

  /// A miner's factors without quality, which depends on the other miners.
  private func factors(
    _ hotkey: String, _ task: String, _ capacity: Double, at period: PeriodID, _ profile: ScoringProfile
  ) -> MinerFactors {
    let oldest = period.startSeconds - profile.historyWindowMilliseconds / 1000
    let records = (history[task]?[hotkey] ?? []).reversed()
      .filter { $0.startSeconds >= oldest && $0.startSeconds <= period.startSeconds }
      .map { HistoryRecord(score: $0.score, volume: Double($0.workMilli) / 1000) }
    return MinerFactors(
      hotkey: hotkey, capacity: capacity, quality: .none, history: profile.history(records))
  }

  /// Fills in quality, effective volume and share.
  ///
  /// The window of a task's verdicts ends at the newest verdict of that task and not at the period's end:
  /// while a task is not checked at all, nobody's verdicts age and quality stays frozen.
  private func rank(_ results: inout [TaskResult], tasks: [TaskConfig], _ profile: ScoringProfile) {
    for (index, task) in tasks.enumerated() {
      let rows = results[index].miners.map { miner in
        let newestFirst = (self.rows[task.name]?[miner.factors.hotkey] ?? []).reversed()
        let count = profile.rowsThatCount(
          times: newestFirst.map(\.timeMilliseconds), anchorMilliseconds: newestVerdict[task.name] ?? 0)
        return newestFirst.prefix(count).map { profile.qualityRow($0, task: task) }
      }
      let qualities = profile.qualities(shape: task.shape, rows: rows)
      let factors = zip(results[index].miners, qualities).map { miner, quality in
        MinerFactors(
          hotkey: miner.factors.hotkey, capacity: miner.factors.capacity, quality: quality,
          history: miner.factors.history)
      }
      let shared = profile.shared([TaskFactors(task: task.name, weight: task.weight, miners: factors)])
      for (miner, factors) in shared[0].miners.enumerated() {
        results[index].miners[miner].factors = factors
      }
    }
  }

  private static func outcome(_ results: [TaskResult], _ profile: ScoringProfile) -> WeightsOutcome {
    let factors = results.map {
      TaskFactors(task: $0.task, weight: $0.weight, miners: $0.miners.map(\.factors))
    }
    switch profile.weights(factors) {
    case .nothing(let reason): return .nothing(reason: reason)
    case .set(let weights):
      let places = results.flatMap(\.miners).map { ($0.factors.hotkey, $0.uid) }
      let uids = Dictionary(places) { first, _ in first }
      let entries = weights.filter { $0.value > 0 }.map { (hotkey: $0.key, uid: uids[$0.key] ?? 0) }
        .sorted { ($0.uid, $0.hotkey) < ($1.uid, $1.hotkey) }
      let emitted = ChainWeights.emitted(
        entries.map { (uid: $0.uid, weight: weights[$0.hotkey] ?? 0) }, profile.emission)
      let values = Dictionary(emitted.map { ($0.uid, $0.value) }) { first, _ in first }
      return .weights(
        entries.map {
          MinerWeight(
            hotkey: $0.hotkey, uid: $0.uid, weight: weights[$0.hotkey] ?? 0, value: values[$0.uid] ?? 0)
        })
    }
  }

  /// Forgets what no later period can use: verdicts and period scores outside their windows, and those of
  /// miners that left. Verdicts of a task that is not checked stay.
  mutating func prune(after snapshot: PeriodSnapshot, profile: ScoringProfile) {
    let roster = Set(snapshot.miners.map(\.hotkey))
    let tasks = Set(snapshot.tasks.map(\.name)).union(open.flatMap { $0.snapshot.tasks.map(\.name) })
    let wallHorizon = snapshot.endMilliseconds - profile.rewardWindowMilliseconds
    for (task, byHotkey) in rows {
      let newest = newestVerdict[task] ?? 0
      let horizon = newest - profile.rewardWindowMilliseconds
      let kept = byHotkey.compactMapValues { rows -> [RewardRow]? in
        let kept = rows.filter { $0.timeMilliseconds >= horizon }
        return kept.isEmpty ? nil : kept
      }.filter { hotkey, rows in
        roster.contains(hotkey) || (rows.last?.timeMilliseconds ?? 0) >= wallHorizon
      }
      let forgotten = kept.isEmpty || (!tasks.contains(task) && newest < wallHorizon)
      rows[task] = forgotten ? nil : kept
      if forgotten { newestVerdict[task] = nil }
    }
    let oldest = snapshot.id.startSeconds - profile.historyWindowMilliseconds / 1000
    for (task, byHotkey) in history {
      let kept = byHotkey.compactMapValues { records -> [PastPeriod]? in
        let kept = records.filter { $0.startSeconds >= oldest }
        return kept.isEmpty ? nil : kept
      }
      history[task] = kept.isEmpty ? nil : kept
    }
  }
}
