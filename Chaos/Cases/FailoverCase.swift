import Common
import Glibc

/// A master that dies, and Sentinels that make another one.
enum FailoverCase {
  static let failover = ChaosCase(
    name: "failover", number: 7,
    about: "kill -9 of the master, 10 times, with Sentinel; users wait for a replica", seconds: 420, run: run)

  @IO private static func run(_ stage: Stage) async throws {
    let sentinels = try await StageSentinels(stage)
    try stage.use(sentinels.url)
    let rounds = stage.parameters.times ?? 10
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    var settings = Stage.WorkerSettings()
    settings.url = sentinels.url
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    var plan = Stage.Plan(miners: [miner, miner], queries: rounds * 300)
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    // What became due while nobody was master keeps the pace.
    (plan.pacePerSecond, plan.burst) = (60, 20)
    try await stage.open(plan)
    let users = try stage.users(through: sentinels.url)
    users.replicas = 1
    users.begin(perSecond: 15)
    let pids = workers.map(\.pid)
    for _ in 0..<rounds {
      try await stage.pass(milliseconds: 3_000 + stage.random.below(1_000))
      try await sentinels.failOver()
    }
    try await stage.pass(milliseconds: 3_000)
    var expected = Stage.Expectations(ends: ["done", "interrupted"])
    // A query that was settled on a master that died without telling its replicas runs again.
    expected.drainSeconds = 180
    let alive = workers.filter(\.isRunning).map(\.pid)
    let judge = try await stage.conclude(stopping: workers, expected)
    stage.show("failovers", judge.times(of: "master-ready").count, "", .exactly(Double(rounds)))
    stage.show("workers that had to be started again", Set(pids).subtracting(alive).count, "", .exactly(0))
    let resumed = judge.resumptions(after: judge.times(of: "master-dies"))
    stage.show("resumed after the death, worst", resumed.max() ?? 0, "ms", .atMost(10_000))
    stage.show("miners asked again", judge.reruns)
  }
}
