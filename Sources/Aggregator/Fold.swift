import Common

/// The fold: next state = apply(state, entry). No clock, no randomness, no I/O; the only time is the
/// entry's id, which Redis gave it. Folding a prefix, saving, loading and folding the rest gives the same
/// bits as folding everything.
extension FoldState {
  /// Folds one ledger entry into the state. An entry up to the last one folded, or with an id that is no
  /// stream id, changes nothing.
  /// - Parameter id: the entry's stream id, `<milliseconds>-<sequence>`.
  /// - Returns: the result of the period that the entry closes; nil for every other entry.
  @discardableResult
  public mutating func apply(_ entry: LedgerEntry, id: String) -> PeriodResult? {
    guard let id = LedgerID(id), id > lastID else { return nil }
    lastID = id
    switch entry {
    case .opened(let snapshot): open(snapshot, id: id)
    case .attempt(let attempt): note(in: attempt.period) { $0.count(attempt) }
    case .verdict(let verdict): keep(verdict, id: id)
    case .skipped(let skip):
      note(in: skip.job.period) { $0.settle(skip.job, as: skip.reason == .expired ? \.expired : \.skipped) }
    case .dead(let dead): giveUp(dead)
    case .closed(let period): return close(period, id: id)
    }
    return nil
  }

  /// Starts a period. A period that is open or was closed is not started again.
  private mutating func open(_ snapshot: PeriodSnapshot, id: LedgerID) {
    guard !closed.contains(snapshot.id), !open.contains(where: { $0.snapshot.id == snapshot.id }) else {
      return
    }
    guard let period = OpenPeriod(snapshot, firstID: id) else {
      totals.unknown += 1
      return
    }
    open.append(period)
    open.sort { $0.snapshot.id < $1.snapshot.id }
    if open.count > Self.openPeriodsMax {
      remember(open.removeFirst().snapshot.id)
      totals.abandoned += 1
    }
  }

  /// Lets an open period count an entry, and counts it here when the period cannot.
  private mutating func note(in period: PeriodID, _ count: (inout OpenPeriod) -> OpenPeriod.Effect) {
    guard let index = open.firstIndex(where: { $0.snapshot.id == period }) else {
      totals.late += 1
      return
    }
    switch count(&open[index]) {
    case .counted: break
    case .duplicate: totals.duplicates += 1
    case .unknown: totals.unknown += 1
    }
  }

  private mutating func giveUp(_ dead: DeadEntry) {
    switch dead.kind {
    case .organic: totals.deadOrganics += 1
    case .check: totals.deadChecks += 1
    case .synthetic:
      guard let job = SyntheticJob(id: dead.job) else {
        totals.unknown += 1
        return
      }
      note(in: job.period) { $0.settle(job, as: \.dead) }
    }
  }

  /// Keeps a verdict, whatever became of its period: checks come late, and quality has its own window.
  private mutating func keep(_ verdict: VerdictEntry, id: LedgerID) {
    let attempt = verdict.attempt
    guard verdict.state == .judged, let score = verdict.score, score.isFinite else {
      totals.unjudged += 1
      return
    }
    guard rows[attempt.task] != nil || rows.count < Self.tasksMax,
      rows[attempt.task]?[attempt.hotkey] != nil || (rows[attempt.task]?.count ?? 0) < Self.hotkeysMax
    else {
      totals.unknown += 1
      return
    }
    let row = RewardRow(
      timeMilliseconds: id.milliseconds, score: score, workMilli: attempt.workMilli, units: attempt.units,
      totalMilliseconds: attempt.totalMilliseconds)
    // One lookup, so that the array is changed in place.
    Self.append(row, to: &rows[attempt.task, default: [:]][attempt.hotkey, default: []])
    newestVerdict[attempt.task] = id.milliseconds
    totals.judged += 1
  }

  private static func append(_ row: RewardRow, to rows: inout [RewardRow]) {
    rows.append(row)
    // Both profiles keep as many.
    if rows.count > ScoringProfile.vision.rewardRowsMax { rows.removeFirst() }
  }

  private mutating func remember(_ period: PeriodID) {
    closed.append(period)
    closed.sort()
    if closed.count > Self.closedPeriodsMax { closed.removeFirst() }
  }

  /// Scores a period and takes it off the open ones.
  private mutating func close(_ id: PeriodID, id lastLedgerID: LedgerID) -> PeriodResult? {
    guard let index = open.firstIndex(where: { $0.snapshot.id == id }) else {
      totals.late += 1
      return nil
    }
    let period = open.remove(at: index)
    remember(id)
    guard let name = ProfileName(rawValue: period.snapshot.profile) else { return nil }
    let result = score(period, profile: .named(name), closedBy: lastLedgerID)
    prune(after: period.snapshot, profile: .named(name))
    return result
  }
}
