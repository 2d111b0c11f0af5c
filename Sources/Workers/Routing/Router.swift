import Common

/// Chooses the miner for a user's request, from what was seen of each: pure, given time and randomness.
///
/// Of a few miners drawn at random, by what each is trusted with, the one with the lowest expected cost is
/// asked (``MinerHealth/cost(at:_:)``). Miners that are quarantined for wrong answers are never asked. Miners
/// that have as many requests under way as they are trusted with are asked when no other is left; after them
/// those whose breaker is open or that said that they have no room; and last those that did all that they
/// claimed. Breakers never take more than half of a task away: beyond that they are ignored.
package struct Router: Sendable {
  /// One miner that serves a task.
  package struct Candidate: Equatable, Sendable {
    /// Its index in the period's roster.
    package var miner: Int
    package var hotkey: String
    /// What is left of its claim for this period, in units of work.
    package var capacity: Double

    package init(miner: Int, hotkey: String, capacity: Double) {
      self.miner = miner
      self.hotkey = hotkey
      self.capacity = capacity
    }
  }

  /// How an attempt ended.
  package struct End: Equatable, Sendable {
    package var outcome: Outcome
    /// nil when no content came.
    package var firstContentMilliseconds: Int?
    /// Mean time between two chunks; nil for answers with fewer than two.
    package var paceMilliseconds: Double?
    package var retryAfterSeconds: Int?

    package init(
      outcome: Outcome, firstContentMilliseconds: Int? = nil, paceMilliseconds: Double? = nil,
      retryAfterSeconds: Int? = nil
    ) {
      self.outcome = outcome
      self.firstContentMilliseconds = firstContentMilliseconds
      self.paceMilliseconds = paceMilliseconds
      self.retryAfterSeconds = retryAfterSeconds
    }
  }

  package let tuning: RouterTuning
  var tasks: [String: TaskView] = [:]
  private var retries: RetryBudget
  private var hedges: RetryBudget

  /// What is known of a task.
  struct TaskView: Sendable {
    var miners: [String: MinerHealth] = [:]
    var times = FirstContentTimes()

    mutating func change(_ hotkey: String, _ tuning: RouterTuning, _ body: (inout MinerHealth) -> Void) {
      if miners.count >= tuning.minersMax, miners[hotkey] == nil {
        miners = miners.filter { $0.value.load > 0 }
      }
      body(&miners[hotkey, default: MinerHealth(tuning)])
    }

    mutating func answered(
      _ hotkey: String, milliseconds: Double, at now: Monotonic, _ tuning: RouterTuning
    ) {
      times.add(milliseconds: milliseconds)
      change(hotkey, tuning) { $0.sawFirst(milliseconds, isOver: true, at: now, tuning) }
    }
  }

  package init(_ tuning: RouterTuning = RouterTuning()) {
    self.tuning = tuning
    retries = RetryBudget(share: tuning.retryShare, perSecond: tuning.retriesPerSecond)
    hedges = RetryBudget(share: tuning.hedgeShare, perSecond: tuning.hedgesPerSecond)
  }

  /// What is known of a miner at a task.
  package func health(task: String, hotkey: String) -> MinerHealth {
    tasks[task]?.miners[hotkey] ?? MinerHealth(tuning)
  }

  /// Miners of a task that get no requests now: quarantined, with an open breaker, or without room.
  package func outCount(task: String, now: Monotonic) -> Int {
    (tasks[task]?.miners ?? [:]).values.count {
      $0.isQuarantined || $0.isEjected(at: now) || $0.isPaused(at: now)
    }
  }

  // MARK: choosing

  private struct Known {
    /// Its place among the candidates.
    let index: Int
    let cost: Double
    let weight: Double
  }

  /// Candidates by whether they should be asked, the first kind first.
  private struct Pools {
    var free: [Known] = []
    var busy: [Known] = []
    var out: [Known] = []
    var used: [Known] = []
    /// What all candidates are trusted with, and those whose breaker is open.
    var (trusted, ejected) = (0.0, 0.0)
  }

  /// The miner to ask next; nil when none is left. Miners in `tried` are not asked again.
  package func choose(
    task: String, candidates: [Candidate], tried: [String], now: Monotonic, random: inout SeededRandom
  ) -> Candidate? {
    var pools = Pools()
    let unknown = MinerHealth(tuning)
    for (index, candidate) in candidates.enumerated() {
      let health = tasks[task]?.miners[candidate.hotkey] ?? unknown
      guard !health.isQuarantined else { continue }
      let isEjected = health.isEjected(at: now)
      pools.trusted += health.limit
      if isEjected { pools.ejected += health.limit }
      guard tried.isEmpty || !tried.contains(candidate.hotkey) else { continue }
      let limit = health.limit(at: now)
      let known = Known(index: index, cost: health.cost(at: now, tuning), weight: limit)
      if candidate.capacity <= 0 {
        pools.used.append(known)
      } else if isEjected || health.isPaused(at: now) {
        pools.out.append(known)
      } else if Double(health.load) < limit {
        pools.free.append(known)
      } else {
        pools.busy.append(known)
      }
    }
    if pools.ejected > pools.trusted * tuning.ejectedShareMax { pools.busy += pools.out }
    for pool in [pools.free, pools.busy, pools.out, pools.used] where !pool.isEmpty {
      return candidates[draw(from: pool, random: &random).index]
    }
    return nil
  }

  private func draw(from pool: [Known], random: inout SeededRandom) -> Known {
    let total = pool.reduce(0) { $0 + $1.weight }
    var best = Router.one(of: pool, total: total, random: &random)
    guard random.uniform() >= tuning.explorationShare else { return best }
    if tuning.draws >= pool.count {
      for known in pool where known.cost < best.cost { best = known }
      return best
    }
    for _ in 1..<max(2, tuning.draws) {
      let other = Router.one(of: pool, total: total, random: &random)
      if other.cost < best.cost { best = other }
    }
    return best
  }

  /// One drawn by weight.
  private static func one(of pool: [Known], total: Double, random: inout SeededRandom) -> Known {
    var rest = random.uniform() * total
    for known in pool {
      rest -= known.weight
      if rest < 0 { return known }
    }
    return pool[pool.count - 1]
  }

  // MARK: budgets

  /// A user's request is served for the first time.
  package mutating func requested() {
    retries.requested()
    hedges.requested()
  }

  /// Takes leave to ask another miner after a failure.
  package mutating func mayRetry(at now: Monotonic) -> Bool { retries.take(at: now) }

  /// Takes leave to ask a second miner beside a slow one.
  package mutating func mayHedge(at now: Monotonic) -> Bool { tuning.hedgeShare > 0 && hedges.take(at: now) }

  /// After this time without content a second miner is asked, ms; nil when none is.
  package func hedgeMilliseconds(task: String) -> Int? {
    guard tuning.hedgeShare > 0 else { return nil }
    let usual = tasks[task]?.times.quantile(tuning.hedgeQuantile) ?? .infinity
    let capped = min(usual, Double(tuning.hedgeCeilingMilliseconds))
    return Int(max(capped, Double(tuning.hedgeFloorMilliseconds)))
  }

  // MARK: what was seen

  /// A request to the miner begins.
  package mutating func began(task: String, hotkey: String) { change(task, hotkey) { $0.inFlight += 1 } }

  /// A request has been under way for so long without content.
  package mutating func waits(task: String, hotkey: String, milliseconds: Int, now: Monotonic) {
    let tuning = tuning
    change(task, hotkey) { $0.sawFirst(Double(milliseconds), isOver: false, at: now, tuning) }
  }

  /// The chunks of an answer that is under way have come so far apart.
  package mutating func flows(task: String, hotkey: String, paceMilliseconds: Double, now: Monotonic) {
    let tuning = tuning
    change(task, hotkey) { $0.sawPace(paceMilliseconds, isOver: false, at: now, tuning) }
  }

  /// A request's first content came.
  package mutating func answered(task: String, hotkey: String, firstContentMilliseconds: Int, now: Monotonic)
  {
    let (tuning, first) = (tuning, Double(firstContentMilliseconds))
    tasks[task, default: TaskView()].answered(hotkey, milliseconds: first, at: now, tuning)
  }

  /// A request to the miner ended.
  package mutating func ended(task: String, hotkey: String, _ end: End, now: Monotonic) {
    let tuning = tuning
    change(task, hotkey) { known in
      known.inFlight = max(0, known.inFlight - 1)
      if let pace = end.paceMilliseconds { known.sawPace(pace, isOver: true, at: now, tuning) }
      switch end.outcome.counter {
      case .good: known.succeeded(at: now, tuning)
      case .rateLimit:
        known.refusedForRoom(retryAfterSeconds: end.retryAfterSeconds, at: now, tuning)
      case .failure: known.failed(hadContent: end.firstContentMilliseconds != nil, at: now, tuning)
      case .none: break
      }
    }
  }

  /// The running mean of the verdicts on a miner's answers.
  package mutating func judged(task: String, hotkey: String, mean: Double, verdicts: Int) {
    let tuning = tuning
    change(task, hotkey) { $0.judged(mean: mean, verdicts: verdicts, tuning) }
  }

  private mutating func change(_ task: String, _ hotkey: String, _ body: (inout MinerHealth) -> Void) {
    tasks[task, default: TaskView()].change(hotkey, tuning, body)
  }
}
