import Common
import Workers

/// Ours, as it runs: each worker has a router of its own, and once a second they tell each other what they
/// know.
class RouterPolicy: SimPolicy {
  static let workers = 4
  private static let task = "chat"
  class var tuning: RouterTuning { RouterTuning() }

  private var routers: [Router]
  private let candidates: [Router.Candidate]

  required init(_ scenario: SimScenario, seed: UInt64) {
    routers = (0..<RouterPolicy.workers).map { _ in Router(Self.tuning) }
    candidates = scenario.miners.enumerated().map {
      Router.Candidate(miner: $0.offset, hotkey: $0.element.hotkey, capacity: $0.element.declared)
    }
    super.init(scenario, seed: seed)
  }

  private func moment(_ time: Double) -> Monotonic { Monotonic(nanoseconds: Int(time * 1_000_000)) }
  private func hotkey(_ miner: Int) -> String { candidates[miner].hotkey }

  override func choose(_ request: SimRequest, _ simulation: Simulation) -> Int? {
    let present = candidates.filter { scenario.miners[$0.miner].joinsAt <= simulation.now }
    return routers[request.worker].choose(
      task: RouterPolicy.task, candidates: present, tried: request.tried.map(hotkey),
      now: moment(simulation.now), random: &random
    )?.miner
  }

  override func mayRetry(_ request: SimRequest, now: Double) -> Bool {
    routers[request.worker].mayRetry(at: moment(now))
  }

  override func hedgeAfter(_ request: SimRequest) -> Double? {
    routers[request.worker].hedgeMilliseconds(task: RouterPolicy.task).map(Double.init)
  }

  override func mayHedge(_ request: SimRequest, now: Double) -> Bool {
    routers[request.worker].mayHedge(at: moment(now))
  }

  override func requested(_ request: SimRequest) { routers[request.worker].requested() }

  override func began(_ seen: SimSeen) {
    routers[seen.worker].began(task: RouterPolicy.task, hotkey: hotkey(seen.miner))
  }

  override func answered(_ seen: SimSeen, firstMilliseconds: Double) {
    routers[seen.worker].answered(
      task: RouterPolicy.task, hotkey: hotkey(seen.miner), firstContentMilliseconds: Int(firstMilliseconds),
      now: moment(seen.now))
  }

  override func ended(
    _ seen: SimSeen, _ attempt: SimAttempt, _ outcome: Outcome, retryAfterSeconds: Int?
  ) {
    let first = attempt.firstAt.map { Int($0 - attempt.startedAt) }
    let end = Router.End(
      outcome: outcome, firstContentMilliseconds: first, paceMilliseconds: pace(attempt, now: seen.now),
      retryAfterSeconds: retryAfterSeconds)
    routers[seen.worker].ended(
      task: RouterPolicy.task, hotkey: hotkey(seen.miner), end, now: moment(seen.now))
  }

  private func pace(_ attempt: SimAttempt, now: Double) -> Double? {
    let sent = attempt.sent(at: now)
    guard let firstAt = attempt.firstAt, sent > 1 else { return nil }
    return (now - firstAt) / Double(sent - 1)
  }

  override func judged(miner: Int, mean: Double, verdicts: Int) {
    for worker in routers.indices {
      routers[worker].judged(task: RouterPolicy.task, hotkey: hotkey(miner), mean: mean, verdicts: verdicts)
    }
  }

  override func tick(_ simulation: Simulation) {
    let now = moment(simulation.now)
    for attempt in simulation.underWay {
      let name = hotkey(attempt.miner)
      if let firstAt = attempt.firstAt {
        guard simulation.now - firstAt > 1_000 else { continue }
        let pace = (simulation.now - firstAt) / Double(max(1, attempt.sent(at: simulation.now)))
        routers[attempt.worker].flows(
          task: RouterPolicy.task, hotkey: name, paceMilliseconds: pace, now: now)
      } else {
        routers[attempt.worker].waits(
          task: RouterPolicy.task, hotkey: name, milliseconds: Int(simulation.now - attempt.startedAt),
          now: now)
      }
    }
    let reports = routers.map { $0.report(task: RouterPolicy.task, now: now) }
    for worker in routers.indices {
      let others = reports.enumerated().filter { $0.offset != worker }
      routers[worker].adopt(
        task: RouterPolicy.task, reports: others.map { (ageMilliseconds: 0, miners: $0.element) }, now: now)
    }
  }
}

/// Ours without second requests.
final class RouterWithoutHedgePolicy: RouterPolicy {
  override class var tuning: RouterTuning {
    var tuning = super.tuning
    tuning.hedgeShare = 0
    return tuning
  }
}
