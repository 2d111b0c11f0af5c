import Common
import Foundation

/// Clocks that are wrong.
enum ClockCases {
  static let clocks = ChaosCase(
    name: "clocks", number: 16,
    about: "workers an hour early and late; Redis's clock five seconds ahead and then back", seconds: 180,
    run: run)

  @IO private static func run(_ stage: Stage) async throws {
    let redisClock = try StageClock(stage.file("clock"))
    try await stage.startRedis([], adding: redisClock.environment)
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    var workers: [StageProcess] = []
    for hours in [1, -1] {
      let clock = try StageClock(stage.file("clock"))
      clock.shift(milliseconds: hours * 3_600_000)
      var settings = Stage.WorkerSettings()
      settings.environment = clock.environment
      workers.append(try await stage.startWorker(settings))
    }
    var plan = Stage.Plan(miners: [miner, miner], queries: 900)
    plan.dueMilliseconds = { 2_000 + $0 * 25 }
    try await stage.open(plan)
    try stage.users().begin(perSecond: 15)
    try await stage.pass(milliseconds: 6_000)
    // Until here Redis's clock is the miners': earliness can be judged by what they saw.
    let honestUntil = WallClock.nowMilliseconds()
    for seconds in [5, 0, -5, 0] {
      redisClock.shift(milliseconds: seconds * 1_000)
      try await stage.pass(milliseconds: 5_000)
    }
    let judge = try await stage.conclude(stopping: workers, .init(ends: ["done"]))
    let early = judge.due.filter { $0.value < honestUntil }.keys.compactMap { job -> Int? in
      judge.seed(of: job).flatMap { judge.services[$0]?.beginnings.min() }.map { $0 - (judge.due[job] ?? 0) }
    }
    stage.show("queries judged for earliness", early.count, "", .atLeast(50))
    stage.show("early by more than 5 ms", early.count { $0 < -5 }, "", .exactly(0))
    // Five seconds forward is less than the lease of a live worker.
    stage.show("jobs that were taken from a live worker", judge.reruns, "", .exactly(0))
  }
}
