import Common

extension ProducerService {
  /// How long a closed period's record is kept, in seconds.
  static let keepSeconds = 86_400
  /// Pause between looks at a period whose last answers are awaited, in milliseconds.
  static let closingMilliseconds = 500

  /// Does for one period what is to be done now: continues its plan, marks miners that left, closes it.
  /// - Returns: the period's end, Unix ms; nil when it is closed or unknown.
  func tend(
    _ id: PeriodID, _ pass: inout Pass, chunksMax: Int
  ) async throws(RedisError) -> Int? {
    guard let record = try await queue.periodRecord(id) else { return nil }
    if periods[id] == nil {
      guard let stored = try await queue.storedPlan(id) else { return nil }
      let snapshot = await PlanningWork.decoded(stored.snapshot)
      if snapshot == nil { log.error("a stored period cannot be read", ["period": id.startSeconds]) }
      periods[id] = OpenPeriod(snapshot: snapshot, seed: stored.seed)
    }
    let now = try await queue.nowMilliseconds()
    if now >= record.endMilliseconds {
      // What was never scheduled is not scheduled any more: nobody could run it.
      return try await close(id, record, now: now, &pass) ? nil : record.endMilliseconds
    }
    pass.waitMilliseconds = min(pass.waitMilliseconds, record.endMilliseconds - now)
    // First who must not be asked, then the questions.
    try await markGone(id)
    if record.state == "planning" {
      try await unlessFull(&pass) { pass throws(RedisError) in
        try await self.schedule(id, from: record.nextChunk, &pass, chunksMax: chunksMax)
      }
    }
    return record.endMilliseconds
  }

  // MARK: scheduling

  private func schedule(
    _ id: PeriodID, from first: Int, _ pass: inout Pass, chunksMax: Int
  ) async throws(RedisError) {
    guard let plan = await plan(of: id) else { return }
    var next = first
    while next < plan.chunkCount {
      guard pass.chunks < chunksMax, role.isHeld, !Task.isCancelled else {
        pass.waitMilliseconds = 0
        return
      }
      let chunk = plan.chunk(next)
      let result = try await queue.schedule(
        leader: role.token, period: id, chunk: next, isLast: chunk.isLast, volumes: chunk.volumes,
        jobs: chunk.jobs)
      switch result {
      case .next(let following):
        next = following
        pass.chunks += 1
      case .stale: return role.lost()
      case .unknown: return
      }
    }
    periods[id]?.plan = nil
    log.info("period scheduled", ["period": id.startSeconds, "chunks": plan.chunkCount])
  }

  /// The plan, computed once from what Redis holds; nil when that cannot be used, which is logged once.
  private func plan(of id: PeriodID) async -> Plan? {
    guard let period = periods[id], let snapshot = period.snapshot else { return nil }
    if let plan = period.plan { return plan }
    do throws(PlanError) {
      let plan = try await PlanningWork.plan(snapshot, seed: period.seed)
      periods[id]?.plan = plan
      return plan
    } catch {
      log.error(
        "a stored period cannot be planned", ["period": id.startSeconds, "error": LoggedError(error)])
      periods[id]?.snapshot = nil
      return nil
    }
  }

  // MARK: the roster during a period

  private func markGone(_ id: PeriodID) async throws(RedisError) {
    guard let period = periods[id], let snapshot = period.snapshot, let roster = roster.current,
      period.rosterRevision != self.roster.revision
    else { return }
    let revision = self.roster.revision
    let news = roster.gone(of: snapshot.miners).filter { !period.gone.contains($0) }
    for start in stride(from: 0, to: news.count, by: 100) {
      let batch = Array(news[start..<min(news.count, start + 100)])
      guard try await queue.deregister(leader: role.token, period: id, miners: batch) != nil else {
        return role.lost()
      }
    }
    for index in news {
      log.info("miner left", ["period": id.startSeconds, "uid": snapshot.miners[index].uid])
    }
    periods[id]?.gone.formUnion(news)
    periods[id]?.rosterRevision = revision
  }

  // MARK: closing

  /// Sweeps what was not sent and closes the period, at the latest when the last answer's time is up.
  /// - Returns: whether it is closed.
  private func close(
    _ id: PeriodID, _ record: PeriodRecord, now: Int, _ pass: inout Pass
  ) async throws(RedisError) -> Bool {
    while true {
      guard role.isHeld, !Task.isCancelled else { return false }
      guard let count = try await queue.sweep(leader: role.token, period: id) else {
        role.lost()
        return false
      }
      if count == 0 { break }
    }
    let grace = periods[id]?.graceMilliseconds ?? 0
    let isForced = now >= record.endMilliseconds + grace
    let result = try await queue.closePeriod(
      leader: role.token, period: id, isForced: isForced, keepSeconds: Self.keepSeconds)
    switch result {
    case .closed: break
    case .open:
      pass.waitMilliseconds = min(pass.waitMilliseconds, Self.closingMilliseconds)
      return false
    case .stale:
      role.lost()
      return false
    case .unknown: return true
    }
    let last = try await queue.periodRecord(id) ?? record
    pass.closed.append(id)
    periods[id] = nil
    log.info(
      "period closed",
      [
        "period": id.startSeconds, "planned": last.planned, "scheduled": last.scheduled,
        "done": last.settled["done"] ?? 0, "failed": last.settled["failed"] ?? 0,
        "skipped": last.settled["skipped"] ?? 0, "expired": last.settled["expired"] ?? 0,
        "dead": last.settled["dead"] ?? 0, "unsettled": max(0, last.planned - last.settledCount),
      ])
    return true
  }
}
