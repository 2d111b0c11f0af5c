import Common

/// What is known of one miner at one task. Pure: each event brings its time.
///
/// The breaker can move from closed to open (failures in a row, or most attempts failing), from open to
/// trial when its time is over (one request at a time), and from trial to closed (a good answer) or to open
/// again for twice the time.
package struct MinerHealth: Equatable, Sendable {
  /// Moving average of the time to the first content, ms; up at once to a peak, down slowly.
  package internal(set) var firstMilliseconds: Double
  /// The same of the time between two chunks, ms.
  package internal(set) var paceMilliseconds: Double
  /// Moving share of attempts that failed before their first content: another miner could be asked.
  package internal(set) var earlyFailures = 0.0
  /// Moving share of attempts that failed after it: the answer was lost.
  package internal(set) var lateFailures: Double
  /// Requests at a time that it is trusted with.
  package internal(set) var limit: Double
  /// Failures since the last good answer.
  package internal(set) var failuresInRow = 0
  /// Times out since the last good answer.
  package internal(set) var ejections = 0
  /// The breaker is open until this moment.
  package internal(set) var ejectedUntil: Monotonic?
  /// The miner has no room until this moment, as a 429 said.
  package internal(set) var pausedUntil: Monotonic?
  /// When it was last observed; nil before.
  package internal(set) var observedAt: Monotonic?
  /// Whether this worker made that observation itself.
  var isOwnNews = false
  /// Mean of the latest verdicts, 0 to 1.
  package internal(set) var quality = 1.0
  /// How many verdicts the mean is of.
  package internal(set) var verdicts = 0
  /// Whether its answers were too often wrong.
  package internal(set) var isQuarantined = false
  /// Requests of this worker that are under way.
  package internal(set) var inFlight = 0
  /// Requests of other workers that are under way, as of their last reports.
  package internal(set) var inFlightElsewhere = 0

  /// The most requests at a time of which one was answered well, slowly forgotten.
  private var proven = 0.0
  /// The best time to the first content, slowly forgotten, ms.
  private var bestMilliseconds = Double.infinity
  var sharesAt: Monotonic?
  var hasPace = false

  init(_ tuning: RouterTuning) {
    firstMilliseconds = tuning.unknownFirstMilliseconds
    paceMilliseconds = tuning.unknownPaceMilliseconds
    lateFailures = tuning.unknownLateFailures
    limit = tuning.limitFirst
  }

  /// Requests of all workers that are under way.
  package var load: Int { inFlight + inFlightElsewhere }

  /// Whether the breaker is open.
  package func isEjected(at now: Monotonic) -> Bool { ejectedUntil.map { now < $0 } ?? false }

  /// Whether the miner said that it has no room.
  package func isPaused(at now: Monotonic) -> Bool { pausedUntil.map { now < $0 } ?? false }

  /// Whether its time out is over and no good answer came since: it gets one request at a time.
  package func isOnTrial(at now: Monotonic) -> Bool { ejections > 0 && !isEjected(at: now) }

  /// What it is trusted with now.
  func limit(at now: Monotonic) -> Double { isOnTrial(at: now) ? 1 : limit }

  // MARK: times

  /// The first content came after `milliseconds`, or has not come after so long.
  mutating func sawFirst(_ milliseconds: Double, isOver: Bool, at now: Monotonic, _ tuning: RouterTuning) {
    if !isOver, milliseconds <= firstMilliseconds { return }
    let isFirst = observedAt == nil
    if isOver { sawQueue(milliseconds, tuning) }
    firstMilliseconds =
      isFirst && isOver ? milliseconds : peak(firstMilliseconds, milliseconds, at: now, tuning)
    observe(at: now)
  }

  /// Chunks come `milliseconds` apart, in an answer that ended, or so far.
  mutating func sawPace(_ milliseconds: Double, isOver: Bool, at now: Monotonic, _ tuning: RouterTuning) {
    if !isOver, milliseconds <= paceMilliseconds { return }
    // One slow answer among many is noise; the average follows within a few.
    let weight = !hasPace && isOver ? 1 : milliseconds > paceMilliseconds ? 0.5 : 0.2
    paceMilliseconds += (milliseconds - paceMilliseconds) * weight
    hasPace = hasPace || isOver
    observe(at: now)
  }

  private mutating func observe(at now: Monotonic) {
    observedAt = now
    isOwnNews = true
  }

  private func peak(_ old: Double, _ new: Double, at now: Monotonic, _ tuning: RouterTuning) -> Double {
    if new > old { return new }
    let elapsed = Double(observedAt.map { now.milliseconds(since: $0) } ?? 0)
    let weight = 1 / (1 + max(elapsed, 100) / tuning.decayMilliseconds)
    return old * weight + new * (1 - weight)
  }

  /// An answer that began much later than the miner's best waited in a queue there: it has all that it can
  /// work on.
  private mutating func sawQueue(_ milliseconds: Double, _ tuning: RouterTuning) {
    bestMilliseconds = min(milliseconds, bestMilliseconds * 1.01)
    let isQueued = milliseconds > bestMilliseconds * tuning.queueFactor + tuning.queueMilliseconds
    guard isQueued, Double(load) > limit * tuning.limitCut else { return }
    limit = max(tuning.limitMin, limit * tuning.queueCut)
  }

  // MARK: ends

  mutating func succeeded(at now: Monotonic, _ tuning: RouterTuning) {
    moveShares(early: 0, late: 0, at: now, tuning)
    failuresInRow = 0
    ejections = 0
    ejectedUntil = nil
    proven = max(Double(load), proven * 0.99)
    // Trust grows only where it was used.
    if Double(load) >= limit * tuning.growthAt {
      limit = min(tuning.limitMax, limit + tuning.growth / max(1, limit).squareRoot())
    }
  }

  mutating func refusedForRoom(retryAfterSeconds: Int?, at now: Monotonic, _ tuning: RouterTuning) {
    let pause = retryAfterSeconds.map { max(0, min($0, 1 << 20)) * 1000 } ?? tuning.pauseMilliseconds
    pausedUntil = now.advanced(milliseconds: min(pause, tuning.pauseMaxMilliseconds))
    moveShares(early: 1, late: 0, at: now, tuning)
    cut(tuning)
  }

  mutating func failed(hadContent: Bool, at now: Monotonic, _ tuning: RouterTuning) {
    moveShares(early: hadContent ? 0 : 1, late: hadContent ? 1 : 0, at: now, tuning)
    failuresInRow += 1
    let isMostly = earlyFailures + lateFailures > 0.5
    guard failuresInRow >= tuning.failuresMax || isMostly || isOnTrial(at: now) else { return }
    // Requests that were under way together fail together: they are one time out.
    guard !isEjected(at: now) else { return }
    let pause = tuning.ejectionFirstMilliseconds << min(ejections, 10)
    ejections += 1
    ejectedUntil = now.advanced(milliseconds: min(pause, tuning.ejectionMaxMilliseconds))
  }

  /// No room at more requests than it ever served well: it is trusted with less. At fewer it is a passing
  /// state, for which a pause is enough.
  private mutating func cut(_ tuning: RouterTuning) {
    guard Double(load) > proven * tuning.limitCut else { return }
    limit = max(tuning.limitMin, min(limit, Double(load) * tuning.limitCut))
    proven = min(proven, Double(load))
  }

  private mutating func moveShares(early: Double, late: Double, at now: Monotonic, _ tuning: RouterTuning) {
    forget(at: now, tuning)
    earlyFailures += (early - earlyFailures) * tuning.shareWeight
    lateFailures += (late - lateFailures) * tuning.shareWeight
    observe(at: now)
  }

  private mutating func forget(at now: Monotonic, _ tuning: RouterTuning) {
    let kept = keptShare(at: now, tuning)
    earlyFailures *= kept
    lateFailures *= kept
    sharesAt = now
  }

  private func keptShare(at now: Monotonic, _ tuning: RouterTuning) -> Double {
    guard let sharesAt else { return 1 }
    return 1 / (1 + Double(max(0, now.milliseconds(since: sharesAt))) / tuning.shareDecayMilliseconds)
  }

  // MARK: quality

  /// The running mean of verdicts, and of how many.
  mutating func judged(mean: Double, verdicts: Int, _ tuning: RouterTuning) {
    guard mean.isFinite, verdicts > 0 else { return }
    quality = min(1, max(0, mean))
    self.verdicts = verdicts
    guard verdicts >= tuning.verdictsMin else { return }
    if quality < tuning.quarantineBelow { isQuarantined = true }
    if quality > tuning.readmitAbove { isQuarantined = false }
  }

  // MARK: cost

  /// What one more request is expected to cost, ms: the time to the first chunks, and what may be lost, for
  /// each request under way, by what the miner is trusted with.
  func cost(at now: Monotonic, _ tuning: RouterTuning) -> Double {
    let kept = keptShare(at: now, tuning)
    let time = firstMilliseconds + paceMilliseconds * tuning.paceChunks
    let early = earlyFailures * kept * tuning.retryMilliseconds
    let late = lateFailures * kept * tuning.lossMilliseconds
    let wrong = verdicts == 0 ? 0 : (1 - quality) * tuning.lossMilliseconds
    return (time + early + late + wrong) * Double(load + 1) / limit(at: now)
  }
}
