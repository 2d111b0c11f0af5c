import Common

/// Chooses the miner for an organic request, from what was seen of each: pure, given time and randomness.
///
/// Of two miners drawn at random the one with the lower expected wait is taken (power of two choices); the
/// expectation is the peak-sensitive moving average of the time to the first content, times what is in
/// flight there, by claimed capacity. A miner that failed several times in a row is left alone for a while,
/// but never more than half of a task's miners.
struct Router {
  /// What is known of a miner at a task.
  struct Health: Equatable {
    /// Moving average of the time to the first content, ms.
    var expectedMilliseconds = Router.unknownMilliseconds
    /// Requests of this worker that are under way.
    var inFlight = 0
    /// Failures since the last success.
    var failuresInRow = 0
    /// Not to be used before this moment.
    var ejectedUntil: Monotonic?
    /// When the average was last moved.
    var updatedAt = Monotonic(nanoseconds: 0)
  }

  /// One miner that serves a task.
  struct Candidate: Equatable {
    /// Its index in the period's roster.
    var miner: Int
    var hotkey: String
    var capacity: Double
  }

  /// Assumed of a miner that was never used: low, so that it is tried.
  static let unknownMilliseconds = 200.0
  /// How fast the average forgets, ms.
  static let decayMilliseconds = 10_000.0
  /// Failures in a row after which a miner is left alone.
  static let failuresMax = 3
  /// The first time out; it doubles with each further failure.
  static let ejectionFirstMilliseconds = 5_000
  static let ejectionMaxMilliseconds = 300_000
  /// The share of requests that go to a miner drawn at random.
  static let explorationShare = 0.03
  /// Miners remembered for each task.
  static let minersMax = 4096

  private var health: [String: [String: Health]] = [:]

  /// What is known of a miner at a task.
  func health(task: String, hotkey: String) -> Health { health[task]?[hotkey] ?? Health() }

  /// The miner to ask next; nil when none is left. Miners in `tried` are not asked again.
  func choose(
    task: String, candidates: [Candidate], tried: Set<String>, now: Monotonic, random: inout SeededRandom
  ) -> Candidate? {
    let untried = candidates.filter { !tried.contains($0.hotkey) }
    guard !untried.isEmpty else { return nil }
    var able = untried.filter { isAble(task, $0, now) }
    // Panic mode: with most of the task's miners out, being out says little.
    if able.isEmpty || able.count * 2 < untried.count { able = untried }
    if random.uniform() < Router.explorationShare { return able[random.below(able.count)] }
    let first = able[random.below(able.count)]
    let second = able[random.below(able.count)]
    return cost(task, first) <= cost(task, second) ? first : second
  }

  private func isAble(_ task: String, _ candidate: Candidate, _ now: Monotonic) -> Bool {
    guard let until = health(task: task, hotkey: candidate.hotkey).ejectedUntil else { return true }
    return until <= now
  }

  private func cost(_ task: String, _ candidate: Candidate) -> Double {
    let known = health(task: task, hotkey: candidate.hotkey)
    return known.expectedMilliseconds * Double(known.inFlight + 1) / max(candidate.capacity, 1)
  }

  /// A request to the miner begins.
  mutating func began(task: String, hotkey: String) { change(task, hotkey) { $0.inFlight += 1 } }

  /// A request to the miner ended.
  /// - Parameter firstContentMilliseconds: as measured; nil when no content came.
  mutating func ended(
    task: String, hotkey: String, outcome: Outcome, firstContentMilliseconds: Int?,
    retryAfterSeconds: Int?, now: Monotonic
  ) {
    change(task, hotkey) { known in
      known.inFlight = max(0, known.inFlight - 1)
      if let first = firstContentMilliseconds { known.observe(Double(first), now: now) }
      switch outcome.counter {
      case .good:
        known.failuresInRow = 0
        known.ejectedUntil = nil
      case .rateLimit:
        let pause = retryAfterSeconds.map { $0 * 1000 } ?? 1000
        known.ejectedUntil = now.advanced(milliseconds: min(pause, Router.ejectionMaxMilliseconds))
      case .failure:
        known.failuresInRow += 1
        let excess = known.failuresInRow - Router.failuresMax
        if excess >= 0 {
          let pause = Router.ejectionFirstMilliseconds << min(excess, 10)
          known.ejectedUntil = now.advanced(milliseconds: min(pause, Router.ejectionMaxMilliseconds))
        }
      case .none: break
      }
    }
  }

  private mutating func change(_ task: String, _ hotkey: String, _ body: (inout Health) -> Void) {
    if health[task, default: [:]].count >= Router.minersMax, health[task]?[hotkey] == nil {
      health[task] = health[task]?.filter { $0.value.inFlight > 0 }
    }
    body(&health[task, default: [:]][hotkey, default: Health()])
  }
}

extension Router.Health {
  /// Moves the average: up at once to a new peak, down slowly.
  mutating func observe(_ milliseconds: Double, now: Monotonic) {
    let elapsed = Double(now.milliseconds(since: updatedAt))
    if milliseconds > expectedMilliseconds {
      expectedMilliseconds = milliseconds
    } else {
      let weight = 1 / (1 + max(elapsed, 100) / Router.decayMilliseconds)
      expectedMilliseconds = expectedMilliseconds * weight + milliseconds * (1 - weight)
    }
    updatedAt = now
  }
}
