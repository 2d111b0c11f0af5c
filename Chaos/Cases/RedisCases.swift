import Common
import Glibc

/// Redis that dies and comes back.
enum RedisCases {
  static let killEverysec = ChaosCase(
    name: "redis-kill", number: 6, about: "kill -9 of Redis and restart, appendfsync everysec, 20 times",
    seconds: 300
  ) { stage in
    try await run(stage, fsync: "everysec", windowMilliseconds: 2_000)
  }

  static let killAlways = ChaosCase(
    name: "redis-kill-always", number: 6, about: "the same with appendfsync always: nothing may be lost",
    seconds: 300
  ) { stage in
    try await run(stage, fsync: "always", windowMilliseconds: 0)
  }

  @IO private static func run(_ stage: Stage, fsync: String, windowMilliseconds: Int) async throws {
    let settings = ["--appendfsync", fsync]
    var redis = try await stage.startRedis(settings)
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    let rounds = stage.parameters.times ?? 20
    var plan = Stage.Plan(miners: [miner, miner], queries: rounds * 200)
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    // What became due while Redis was away keeps the pace.
    (plan.pacePerSecond, plan.burst) = (60, 20)
    try await stage.open(plan)
    let users = try stage.users()
    users.begin(perSecond: 20)
    var seen = Task { @IO in try await stage.readLedger("ledger") }
    for _ in 0..<rounds {
      try await stage.pass(milliseconds: 2_000 + stage.random.below(1_500))
      _ = try await seen.value
      seen = Task { @IO in try await stage.readLedger("ledger", after: "") }
      _ = try? await seen.value
      stage.evidence.note("fault redis-dies")
      await redis.kill()
      try await stage.pass(milliseconds: 500 + stage.random.below(500))
      redis = try await stage.startRedis(settings)
      stage.evidence.note("fault redis-ready")
    }
    try await stage.pass(milliseconds: 6_000)
    var expected = Stage.Expectations()
    expected.ends = ["done", "interrupted"]
    expected.drainSeconds = 120
    expected.mayLose = windowMilliseconds > 0
    let judge = try await stage.conclude(stopping: workers, expected)
    stage.show("restarts", judge.times(of: "redis-ready").count, "", .exactly(Double(rounds)))
    if windowMilliseconds > 0 { showLoss(stage, judge, windowMilliseconds: windowMilliseconds) }
    stage.show(
      "effects that vanished", judge.vanished.count, "", windowMilliseconds == 0 ? .exactly(0) : .shown)
    let resumed = judge.resumptions(after: judge.times(of: "redis-ready"))
    stage.show("resumed after it was ready, worst", resumed.max() ?? 0, "ms", .atMost(5_000))
  }

  /// How long before a death of Redis the oldest request was taken that is lost.
  @IO static func showLoss(_ stage: Stage, _ judge: Judge, windowMilliseconds: Int) {
    let deaths = judge.times(of: "redis-dies")
    let ages = judge.lostRequests.compactMap { judge.requests[$0]?.acceptedAt }.map { at in
      deaths.first { $0 >= at }.map { $0 - at } ?? Int.max / 2
    }
    stage.show(
      "oldest lost write before the death", ages.max() ?? 0, "ms", .atMost(Double(windowMilliseconds)))
  }
}
