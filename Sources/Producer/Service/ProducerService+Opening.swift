import Common

extension ProducerService {
  /// How long before a period's end the next one is prepared, in milliseconds.
  static let preparationMilliseconds = 15_000
  /// Pause after a failed attempt to open a period, in milliseconds.
  static let attemptMilliseconds = 5_000

  /// Why no period can be opened now.
  private enum Obstacle: Error {
    case noRoster
    case noMiners
    case wrongValidator(roster: String, configured: String)
    case nobodyAnswered(asked: Int)
    case nothingToTest(answered: Int)
    case cannotPlan(PlanError)
  }

  /// Opens the next period once it is time: shortly before the latest one ends, so that periods follow
  /// each other without a gap, or at once when there is none.
  func openNext(after latestEnd: Int?, _ pass: inout Pass) async throws(RedisError) {
    let length = (options.periodSeconds ?? config.current.periodSeconds) * 1000
    if let latestEnd {
      let early = min(Self.preparationMilliseconds, length / 3)
      let wait = latestEnd - early - (try await queue.nowMilliseconds())
      if wait > 0 {
        pass.waitMilliseconds = min(pass.waitMilliseconds, wait)
        return
      }
    }
    guard nextAttempt <= Monotonic.now() else { return }
    nextAttempt = Monotonic.now().advanced(milliseconds: Self.attemptMilliseconds)
    config.reload()
    let input: Planner.Input
    let planned: (snapshot: PeriodSnapshot, encoded: [UInt8])
    do {
      input = try await planInput(after: latestEnd)
      planned = try await snapshot(input)
    } catch let obstacle as Obstacle {
      if !Task.isCancelled { complain(obstacle) }
      return
    } catch let error as RedisError {
      throw error
    } catch {
      return
    }
    guard role.isHeld, !Task.isCancelled else { return }
    try await store(planned, seed: input.seed, &pass)
  }

  /// Gathers what a period is planned from. Throws `Obstacle` or `RedisError`.
  private func planInput(after latestEnd: Int?) async throws -> Planner.Input {
    let config = config.current
    guard let roster = roster.current else { throw Obstacle.noRoster }
    guard !roster.miners.isEmpty else { throw Obstacle.noMiners }
    if let configured = config.validatorHotkey, configured != roster.validatorHotkey {
      throw Obstacle.wrongValidator(roster: roster.validatorHotkey, configured: configured)
    }
    let answers = await ask(roster.miners, config.tasks, .named(config.profile))
    guard answers.answered > 0 else { throw Obstacle.nobodyAnswered(asked: roster.miners.count) }
    log.info(
      "capacities",
      ["asked": roster.miners.count, "answered": answers.answered, "unusable_values": answers.unusable])
    // Whole seconds: the start is the period's name. Asking took time, so the clock is read now.
    let now = try await queue.nowMilliseconds()
    let start = max((latestEnd ?? 0) / 1000, (now + 999) / 1000)
    return Planner.Input(
      start: PeriodID(startSeconds: start), lengthSeconds: options.periodSeconds ?? config.periodSeconds,
      profile: config.profile, validatorHotkey: roster.validatorHotkey, tasks: config.tasks,
      miners: roster.miners, claims: answers.claims, configDigest: config.digest,
      seed: UInt64.random(in: 0 ... .max), proven: config.earnedCapacity ? try await proven() : nil)
  }

  /// What miners have proven so far; nothing before the first period is closed.
  private func proven() async throws(RedisError) -> ProvenVolumes {
    guard let bytes = try await queue.provenVolumes() else { return ProvenVolumes() }
    if let proven = await OffLoop.run({ ProvenVolumes(decoding: bytes) }) { return proven }
    log.warning(
      "the proven volumes cannot be read: every claim is tested in full", ["bytes": bytes.count])
    return ProvenVolumes()
  }

  private func snapshot(
    _ input: Planner.Input
  ) async throws(Obstacle) -> (snapshot: PeriodSnapshot, encoded: [UInt8]) {
    let planned: (snapshot: PeriodSnapshot, encoded: [UInt8])
    do throws(PlanError) {
      planned = try await PlanningWork.snapshot(input)
    } catch {
      throw .cannotPlan(error)
    }
    guard planned.snapshot.plannedCount > 0 else {
      throw .nothingToTest(answered: input.claims.count { $0 != nil })
    }
    return planned
  }

  /// Stores the period; what was stored first for it, if anything, is what counts.
  private func store(
    _ planned: (snapshot: PeriodSnapshot, encoded: [UInt8]), seed: UInt64, _ pass: inout Pass
  ) async throws(RedisError) {
    let snapshot = planned.snapshot
    let seconds = Double(snapshot.endMilliseconds - snapshot.startMilliseconds) / 1000
    let pace = max(1, 1.5 * Double(snapshot.plannedCount) / seconds)
    let stored = try await queue.openPeriod(
      leader: role.token, snapshot: snapshot, encoded: planned.encoded, seed: seed, pacePerSecond: pace,
      burst: max(10, 2 * pace))
    guard let stored else { return role.lost() }
    periods[snapshot.id] = OpenPeriod(
      snapshot: stored.isNew ? snapshot : await PlanningWork.decoded(stored.snapshot), seed: stored.seed)
    pass.opened = snapshot.id
    nextAttempt = Monotonic(nanoseconds: .min)
    log.info(
      "period opened",
      [
        "period": snapshot.id.startSeconds, "seconds": Int(seconds), "miners": snapshot.miners.count,
        "planned": snapshot.plannedCount, "config": snapshot.configDigest,
      ])
    try await publishTasks(again: true)
  }

  private func complain(_ obstacle: Obstacle) {
    switch obstacle {
    case .noRoster: log.error("no period: there is no roster yet")
    case .noMiners: log.error("no period: the roster is empty")
    case .wrongValidator(let roster, let configured):
      log.error(
        "no period: roster and configuration name different validators",
        ["roster": roster, "configuration": configured])
    case .nobodyAnswered(let asked):
      log.error("no period: no miner stated its capacities", ["asked": asked])
    case .nothingToTest(let answered):
      log.error("no period: no miner claims any capacity", ["answered": answered])
    case .cannotPlan(let error): log.error("no period: it cannot be planned", ["error": LoggedError(error)])
    }
  }
}
