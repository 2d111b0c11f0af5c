import Common
import Foundation

/// What a policy is told of an attempt.
struct SimSeen {
  let miner: Int
  let worker: Int
  let isOrganic: Bool
  let now: Double
}

/// A way to choose miners, as the simulation sees it. Policies learn from users' requests and from
/// synthetics alike.
class SimPolicy {
  let scenario: SimScenario
  var random: SeededRandom
  /// Attempts for one request at most.
  var attemptsMax: Int { 3 }

  required init(_ scenario: SimScenario, seed: UInt64) {
    self.scenario = scenario
    random = SeededRandom(seed: seed, "policy")
  }

  /// The miner to ask next; nil when none is left.
  func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? { nil }
  /// Whether another miner may be asked after a failure before the first content.
  func mayRetry(_ request: SimRequest, now: Double) -> Bool { true }
  /// When a second miner is asked beside one that was silent so far, ms after the attempt began.
  func hedgeAfter(_ request: SimRequest) -> Double? { nil }
  func mayHedge(_ request: SimRequest, now: Double) -> Bool { false }
  func requested(_ request: SimRequest) {}
  func began(_ seen: SimSeen) {}
  func answered(_ seen: SimSeen, firstMilliseconds: Double) {}
  func ended(_ seen: SimSeen, _ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?) {}
  func judged(miner: Int, mean: Double, verdicts: Int) {}
  /// Once a simulated second.
  func tick(_ simulation: Simulation) {}

  /// Miners of the roster that this request did not ask yet.
  func untried(_ request: SimRequest, _ simulation: Simulation) -> [Int] {
    scenario.miners.indices.filter {
      scenario.miners[$0].joinsAt <= simulation.now && !request.tried.contains($0)
    }
  }
}

/// Any miner.
final class RandomPolicy: SimPolicy {
  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    untried(request, simulation).randomElement(using: &random)
  }
}

/// One miner after the other.
final class RoundRobinPolicy: SimPolicy {
  private var last = -1

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let miners = untried(request, simulation)
    guard let next = miners.first(where: { $0 > last }) ?? miners.first else { return nil }
    last = next
    return next
  }
}

/// The miner with the fewest requests under way, counted exactly over all workers.
final class LeastInFlightPolicy: SimPolicy {
  private lazy var inFlight = [Int](repeating: 0, count: scenario.miners.count)

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let miners = untried(request, simulation)
    guard let least = miners.map({ inFlight[$0] }).min() else { return nil }
    return miners.filter { inFlight[$0] == least }.randomElement(using: &random)
  }

  override func began(_ seen: SimSeen) { inFlight[seen.miner] += 1 }

  override func ended(
    _ seen: SimSeen, _ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?
  ) {
    inFlight[seen.miner] -= 1
  }
}

/// The miner with the lowest mean of its last ten times to the first content; a timeout counts as 1,000 s, and
/// a miner most of whose attempts failed within a minute is left alone for 5 s (LiteLLM's
/// latency-based routing with its cooldown). Known at once to all workers.
final class LowestLatencyPolicy: SimPolicy {
  private struct Known {
    var times: [Double] = []
    var ends: [(at: Double, isFailure: Bool)] = []
    var coolsUntil = 0.0

    var mean: Double { times.isEmpty ? 0 : times.reduce(0, +) / Double(times.count) }
  }

  private lazy var known = [Known](repeating: Known(), count: scenario.miners.count)

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let miners = untried(request, simulation).filter { known[$0].coolsUntil <= simulation.now }
    guard let least = miners.map({ known[$0].mean }).min() else { return nil }
    return miners.filter { known[$0].mean == least }.randomElement(using: &random)
  }

  private func add(_ time: Double, _ miner: Int) {
    if known[miner].times.count == 10 { known[miner].times.removeFirst() }
    known[miner].times.append(time)
  }

  override func answered(_ seen: SimSeen, firstMilliseconds: Double) { add(firstMilliseconds, seen.miner) }

  override func ended(
    _ seen: SimSeen, _ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?
  ) {
    guard outcome.counter != .none else { return }
    switch outcome {
    case .connectTimeout, .firstContentTimeout, .stallTimeout, .totalTimeout: add(1_000_000, seen.miner)
    default: break
    }
    known[seen.miner].ends.removeAll { $0.at < seen.now - 60_000 }
    known[seen.miner].ends.append((seen.now, outcome.counter != .good))
    let ends = known[seen.miner].ends
    let failures = ends.count { $0.isFailure }
    if outcome.counter != .good, ends.count >= 5, failures * 2 > ends.count {
      known[seen.miner].coolsUntil = seen.now + 5_000
    }
  }
}

/// The first system's (v4): the miner that was idle longest, asked up to three times.
final class QueueOfMinersPolicy: SimPolicy {
  private lazy var order = Array(scenario.miners.indices)

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    if let same = request.tried.first { return same }
    return order.first { scenario.miners[$0].joinsAt <= simulation.now }
  }

  override func began(_ seen: SimSeen) {
    guard let place = order.firstIndex(of: seen.miner) else { return }
    order.remove(at: place)
    order.append(seen.miner)
  }
}

/// The second system's (v6): of the first three quarters of the miners, in the order of their names, five are
/// drawn with replacement, the first third more often, and asked by descending score. The score is what
/// earlier periods gave, which is what they claimed.
final class ContendersPolicy: SimPolicy {
  override var attemptsMax: Int { 5 }

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    if request.plan == nil { request.plan = draw(simulation) }
    guard request.plan?.isEmpty == false else { return nil }
    return request.plan?.removeFirst()
  }

  private func draw(_ simulation: Simulation) -> [Int] {
    let contenders = scenario.miners.indices.filter { scenario.miners[$0].joinsAt <= simulation.now }
      .sorted { scenario.miners[$0].hotkey < scenario.miners[$1].hotkey }
    let pool = contenders.count > 5 ? Array(contenders.prefix(max(1, contenders.count * 3 / 4))) : contenders
    guard !pool.isEmpty else { return [] }
    let favoured = max(1, Int(0.35 * Double(pool.count)))
    let drawn = (0..<min(5, pool.count)).map { _ -> Int in
      var rest = random.uniform() * Double(pool.count + 4 * favoured)
      for (place, miner) in pool.enumerated() {
        rest -= place < favoured ? 5 : 1
        if rest < 0 { return miner }
      }
      return pool[pool.count - 1]
    }
    return drawn.sorted { scenario.miners[$0].declared > scenario.miners[$1].declared }
  }
}

/// Finagle's: of two miners drawn evenly the one with the lower peak-sensitive average of the time to the first
/// content, times the requests under way. Known at once to all workers.
final class PeakAveragePolicy: SimPolicy {
  private struct Known {
    var average = 0.0
    var at = 0.0
    var inFlight = 0

    /// Forgets within ten seconds.
    mutating func observe(_ time: Double, at now: Double) {
      let kept = exp(-(now - at) / 10_000)
      average = time > average ? time : average * kept + time * (1 - kept)
      at = now
    }
  }

  private lazy var known = [Known](repeating: Known(), count: scenario.miners.count)

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let miners = untried(request, simulation)
    guard let one = miners.randomElement(using: &random), let other = miners.randomElement(using: &random)
    else { return nil }
    return cost(one) <= cost(other) ? one : other
  }

  private func cost(_ miner: Int) -> Double {
    max(1, known[miner].average) * Double(known[miner].inFlight + 1)
  }

  override func began(_ seen: SimSeen) { known[seen.miner].inFlight += 1 }

  override func answered(_ seen: SimSeen, firstMilliseconds: Double) {
    known[seen.miner].observe(firstMilliseconds, at: seen.now)
  }

  override func ended(
    _ seen: SimSeen, _ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?
  ) {
    known[seen.miner].inFlight -= 1
    // A failure counts as long as the user would have waited.
    if outcome.counter == .failure { known[seen.miner].observe(Simulation.firstContentTimeout, at: seen.now) }
  }
}

/// Knows each miner's true state at this moment, though not the future: of those that do as they should the
/// one whose first token would come first.
final class OraclePolicy: SimPolicy {
  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let miners = untried(request, simulation)
    let able = miners.filter { !isUseless(scenario.miners[$0], at: simulation.now) }
    return (able.isEmpty ? miners : able).min {
      simulation.expectedFirst($0) < simulation.expectedFirst($1)
    }
  }

  /// A slow miner still serves; how slow it is, is in the expectation.
  private func isUseless(_ miner: SimMiner, at time: Double) -> Bool {
    if case .slow? = miner.fault?.kind { return false }
    return miner.isBad(at: time)
  }
}
