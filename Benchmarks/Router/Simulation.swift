import Common
import Foundation

/// One run of a scenario under a policy, on a virtual clock. Equal seeds meet equal miners, arrivals, lengths
/// and service times under every policy.
final class Simulation {
  /// As the shipped configuration has them for text, ms.
  static let connectTimeout = 1_000.0
  static let firstContentTimeout = 5_000.0
  static let stallTimeout = 5_000.0
  static let totalTimeout = 60_000.0
  /// One checking server, one check at a time, ms.
  static let checkTime = 3_000.0
  /// A share of every miner's claim is tested by synthetics.
  static let testedShare = 0.05

  private enum Event {
    case arrival
    case synthetic(Int)
    case first(SimAttempt)
    case end(SimAttempt, Outcome, retryAfterSeconds: Int?)
    case firstTimeout(SimAttempt)
    case hedge(SimAttempt)
    case checked(miner: Int, isWrong: Bool)
    case tick
  }

  let scenario: SimScenario
  let policy: SimPolicy
  private(set) var now = 0.0
  private(set) var underWay: [SimAttempt] = []
  private(set) var figures: SimFigures
  private var events = SimHeap<Event>()
  private var arrivals: SeededRandom
  private let seed: UInt64
  private var requests = 0
  private var attempts = 0
  private var running: [Int]
  private var queues: [[SimAttempt]]
  private var checks: SimChecks

  init(_ scenario: SimScenario, policy: SimPolicy.Type, seed: UInt64) {
    self.scenario = scenario
    self.policy = policy.init(scenario, seed: seed)
    self.seed = seed
    arrivals = SeededRandom(seed: seed, "arrivals")
    running = [Int](repeating: 0, count: scenario.backends.count)
    queues = [[SimAttempt]](repeating: [], count: scenario.backends.count)
    figures = SimFigures(scenario)
    checks = SimChecks(miners: scenario.miners.count)
  }

  func run() -> SimFigures {
    events.push(.arrival, at: 0)
    events.push(.tick, at: 1_000)
    for miner in scenario.miners.indices { planSynthetic(miner) }
    while let (at, event) = events.pop() {
      now = at
      handle(event)
    }
    return figures
  }

  private func handle(_ event: Event) {
    switch event {
    case .arrival: arrive()
    case .synthetic(let miner):
      start(miner, request: nil, tokens: drawTokens(), worker: arrivals.below(RouterPolicy.workers))
      planSynthetic(miner)
    case .first(let attempt): firstContent(attempt)
    case .end(let attempt, let outcome, let retry): end(attempt, outcome, retryAfterSeconds: retry)
    case .firstTimeout(let attempt):
      if attempt.firstAt == nil { end(attempt, .firstContentTimeout, retryAfterSeconds: nil) }
    case .hedge(let attempt): hedge(attempt)
    case .checked(let miner, let isWrong):
      let verdict = checks.judged(miner, score: isWrong ? 0.1 : 0.95)
      policy.judged(miner: miner, mean: verdict.mean, verdicts: verdict.count)
      check()
    case .tick:
      policy.tick(self)
      if now < scenario.length + 60_000 { events.push(.tick, at: now + 1_000) }
    }
  }

  // MARK: arrivals

  private func exponential(_ mean: Double) -> Double { -mean * log(1 - arrivals.uniform()) }

  private func drawTokens() -> Int {
    let length = SimRequest.meanTokens * exp(SimNoise.normal(&arrivals) * 0.8 - 0.32)
    return Int(min(800, max(8, length)))
  }

  private func planSynthetic(_ miner: Int) {
    let rate = scenario.miners[miner].declared * Simulation.testedShare
    let at = max(now, scenario.miners[miner].joinsAt) + exponential(1_000 / rate)
    if at < scenario.length { events.push(.synthetic(miner), at: at) }
  }

  private func arrive() {
    let mean = 1_000 / (scenario.load(now) * scenario.capacity(at: now))
    let next = now + exponential(mean)
    if next < scenario.length { events.push(.arrival, at: next) }
    requests += 1
    let request = SimRequest(
      id: requests, arrivedAt: now, tokens: drawTokens(), worker: arrivals.below(RouterPolicy.workers))
    policy.requested(request)
    if !ask(request) { finish(request, isGood: false) }
  }

  /// Asks the next miner for a request; false when there is none.
  private func ask(_ request: SimRequest) -> Bool {
    guard request.tried.count < policy.attemptsMax, let miner = policy.choose(request, self) else {
      return false
    }
    request.tried.append(miner)
    figures.asked(request, isBad: scenario.miners[miner].isBad(at: now))
    start(miner, request: request, tokens: request.tokens, worker: request.worker)
    return true
  }

  // MARK: attempts

  private func start(_ miner: Int, request: SimRequest?, tokens: Int, worker: Int) {
    attempts += 1
    let number = (request?.id ?? -attempts) &* 8 &+ (request?.tried.count ?? 0)
    let attempt = SimAttempt(
      request: request, miner: miner, worker: worker, tokens: tokens, startedAt: now,
      random: SeededRandom(seed: seed ^ 0x5bd1_e995, "\(number)"))
    underWay.append(attempt)
    request?.active.append(attempt)
    policy.began(seen(attempt))
    events.push(.firstTimeout(attempt), at: now + Simulation.firstContentTimeout)
    if let request, request.active.count == 1, let after = policy.hedgeAfter(request) {
      events.push(.hedge(attempt), at: now + after)
    }
    reach(attempt)
  }

  /// The request comes to the miner.
  private func reach(_ attempt: SimAttempt) {
    let miner = scenario.miners[attempt.miner]
    let answer = now + miner.roundTrip
    if let fault = miner.fault, fault.isActive(at: now) {
      switch fault.kind {
      case .unreachable:
        let end = now + Simulation.connectTimeout
        return events.push(.end(attempt, .connectTimeout, retryAfterSeconds: nil), at: end)
      case .errors: return events.push(.end(attempt, .serverError, retryAfterSeconds: nil), at: answer)
      case .rateLimits(let retry):
        return events.push(.end(attempt, .rateLimited, retryAfterSeconds: retry), at: answer)
      case .slow, .stalls, .drips, .wrong: break
      }
    }
    let backend = miner.backend
    if running[backend] < scenario.backends[backend] {
      serve(attempt)
    } else if queues[backend].count < scenario.backends[backend] {
      queues[backend].append(attempt)
    } else {
      events.push(.end(attempt, .rateLimited, retryAfterSeconds: nil), at: answer)
    }
  }

  /// The miner begins to work on a request.
  private func serve(_ attempt: SimAttempt) {
    let miner = scenario.miners[attempt.miner]
    let crowd = SimMiner.crowding * Double(running[miner.backend]) / Double(scenario.backends[miner.backend])
    running[miner.backend] += 1
    attempt.phase = .running
    var factor = 1 + crowd
    var silence = 0.0
    if let fault = miner.fault, fault.isActive(at: now) {
      switch fault.kind {
      case .slow(let times): factor *= times
      case .stalls(let share, let tokens):
        if attempt.random.uniform() < share { attempt.tokensMax = tokens }
      case .wrong:
        attempt.isWrong = true
        factor /= 5
      case .unreachable, .errors, .rateLimits, .drips: break
      }
    }
    attempt.pace = miner.pace * factor * exp(SimNoise.normal(&attempt.random) * 0.1)
    if case .drips(let pace)? = miner.fault?.kind, miner.isBad(at: now) { attempt.pace = pace }
    if now < miner.coldUntil { silence = 4_000 }
    let first = miner.first * factor * exp(SimNoise.normal(&attempt.random) * 0.3) + silence
    let firstAt = now + miner.roundTrip + first
    attempt.expectedEnd = firstAt + Double(attempt.tokens) * attempt.pace
    if case .unreachable? = miner.fault?.kind { breakOff(attempt, firstAt) }
    events.push(.first(attempt), at: firstAt)
  }

  /// A miner that becomes unreachable stops what it was doing.
  private func breakOff(_ attempt: SimAttempt, _ firstAt: Double) {
    guard let next = scenario.miners[attempt.miner].fault?.spans.first(where: { $0.from > now }) else {
      return
    }
    attempt.tokensMax = next.from < firstAt ? 0 : 1 + Int((next.from - firstAt) / attempt.pace)
  }

  private func firstContent(_ attempt: SimAttempt) {
    guard attempt.phase == .running, attempt.tokensMax > 0 else { return }
    attempt.firstAt = now
    policy.answered(seen(attempt), firstMilliseconds: now - attempt.startedAt)
    let total = attempt.startedAt + Simulation.totalTimeout
    let isWhole = attempt.tokensMax >= attempt.tokens
    let length = Double(min(attempt.tokens, attempt.tokensMax) - 1) * attempt.pace
    let endAt = now + length + (isWhole ? 0 : Simulation.stallTimeout)
    events.push(
      .end(
        attempt, endAt > total ? .totalTimeout : isWhole ? .ok : .stallTimeout, retryAfterSeconds: nil),
      at: min(endAt, total))
    guard let request = attempt.request else { return }
    request.firstAt = now
    for other in request.active where other !== attempt {
      end(other, .cancelled, retryAfterSeconds: nil)
    }
  }

  /// The second request for a slow one.
  private func hedge(_ attempt: SimAttempt) {
    guard let request = attempt.request, attempt.phase != .over, request.firstAt == nil,
      request.active.count == 1, request.tried.count < policy.attemptsMax,
      policy.mayHedge(request, now: now)
    else { return }
    _ = ask(request)
  }

  private func seen(_ attempt: SimAttempt) -> SimSeen {
    SimSeen(miner: attempt.miner, worker: attempt.worker, isOrganic: attempt.request != nil, now: now)
  }

  private func end(_ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?) {
    guard attempt.phase != .over else { return }
    let wasRunning = attempt.phase == .running
    attempt.phase = .over
    underWay.removeAll { $0 === attempt }
    attempt.request?.active.removeAll { $0 === attempt }
    policy.ended(seen(attempt), attempt, outcome, retryAfterSeconds: retryAfterSeconds)
    figures.ended(attempt, outcome, at: now)
    release(attempt, wasRunning: wasRunning)
    if outcome == .ok {
      checks.add(attempt)
      check()
    }
    guard let request = attempt.request, !request.isOver, outcome != .cancelled else { return }
    if outcome == .ok {
      let pace = (now - (request.firstAt ?? now)) / Double(max(1, request.tokens - 1))
      let first = (request.firstAt ?? now) - request.arrivedAt
      let isGood = first <= SimFigures.firstMax && pace <= SimFigures.paceMax && !attempt.isWrong
      finish(request, isGood: isGood)
    } else if attempt.firstAt != nil {
      finish(request, isGood: false)
    } else if request.active.isEmpty {
      let isAsked = policy.mayRetry(request, now: now) && ask(request)
      if !isAsked { finish(request, isGood: false) }
    }
  }

  private func finish(_ request: SimRequest, isGood: Bool) {
    request.isOver = true
    figures.finished(request, isGood: isGood)
  }

  private func release(_ attempt: SimAttempt, wasRunning: Bool) {
    let backend = scenario.miners[attempt.miner].backend
    guard wasRunning else { return queues[backend].removeAll { $0 === attempt } }
    running[backend] -= 1
    while running[backend] < scenario.backends[backend], !queues[backend].isEmpty {
      serve(queues[backend].removeFirst())
    }
  }

  private func check() {
    guard let next = checks.begin() else { return }
    events.push(.checked(miner: next.miner, isWrong: next.isWrong), at: now + Simulation.checkTime)
  }

  /// When a miner would send its first token, from now, as its state is: exact but for the noise, since the ends
  /// of what it works on are known.
  func expectedFirst(_ index: Int) -> Double {
    let miner = scenario.miners[index]
    let slots = scenario.backends[miner.backend]
    let crowd = 1 + SimMiner.crowding * Double(min(running[miner.backend], slots - 1)) / Double(slots)
    var factor = crowd
    if case .slow(let times)? = miner.fault?.kind, miner.isBad(at: now) { factor *= times }
    let cold = now < miner.coldUntil ? 4_000.0 : 0
    return expectedWait(miner.backend) + cold + miner.roundTrip + miner.first * factor
  }

  /// How long a request that comes now waits for a slot.
  private func expectedWait(_ backend: Int) -> Double {
    let turn = running[backend] + queues[backend].count - scenario.backends[backend]
    guard turn >= 0 else { return 0 }
    let working = underWay.filter {
      $0.phase == .running && scenario.miners[$0.miner].backend == backend
    }
    // Those that wait before it are taken to be as long as the ones that run.
    let ends = working.map { max(0, $0.expectedEnd - now) }.sorted()
    guard !ends.isEmpty else { return 0 }
    let rounds =
      Double(turn / ends.count) * 1_000 * Double(ends.count) / scenario.miners[working[0].miner].capacity
    return ends[turn % ends.count] + rounds
  }
}
