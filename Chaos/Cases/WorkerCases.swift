import Common
import Glibc

/// Workers that die and workers that stand still.
enum WorkerCases {
  // MARK: 1

  static let kill = ChaosCase(
    name: "worker-kill", number: 1,
    about: "SIGKILL one of 10 workers every 2-5 s while 20,000 jobs run", seconds: 420, run: runKill)

  private static let workersCount = 10
  private static let slots = 64
  private static let queries = 19_100

  @IO private static func runKill(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 20, perSecond: 20)
    var settings = Stage.WorkerSettings()
    settings.slots = slots
    var workers = (0..<workersCount).map { _ in stage }.compactMap { try? $0.launchWorker(settings) }
    var plan = Stage.Plan(miners: [miner, miner], queries: queries)
    plan.dueMilliseconds = { 5_000 + $0 * 1_000 / 160 }
    try await stage.open(plan)
    let users = try stage.users()
    users.begin(perSecond: 8)
    let over = Monotonic.now().advanced(milliseconds: 5_000 + queries * 1_000 / 160)
    var kills = 0
    while Monotonic.now() < over {
      try await stage.pass(milliseconds: 2_000 + stage.random.below(3_000))
      let victim = stage.random.below(workers.count)
      try await stage.kill(workers[victim])
      workers[victim] = try stage.launchWorker(settings)
      kills += 1
    }
    var expected = Stage.Expectations()
    expected.ends = ["done", "interrupted"]
    let judge = try await stage.conclude(stopping: workers, expected)
    stage.show("kills", kills)
    stage.show("jobs in all", judge.requests.count + judge.due.count, "", .atLeast(20_000))
    stage.show("miners asked again", judge.reruns, "", .atMost(Double(kills * slots)))
    stage.show("jobs of the dead", judge.takeovers.count, "", .atLeast(1))
    stage.show("taken over within, p99", judge.takeovers.quantile(0.99), "ms", .atMost(17_000))
  }

  // MARK: 3

  static let pause = ChaosCase(
    name: "worker-pause", number: 3,
    about: "SIGSTOP a worker for twice its lease, then SIGCONT", seconds: 240, run: runPause)

  @IO private static func runPause(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 60, perSecond: 15)
    var settings = Stage.WorkerSettings()
    settings.slots = 40
    settings.organicLeaseMilliseconds = 2_000
    settings.syntheticLeaseMilliseconds = 2_000
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    let rounds = stage.parameters.times ?? 5
    var plan = Stage.Plan(miners: [miner, miner], queries: rounds * 60)
    plan.dueMilliseconds = { 1_000 + $0 * 100 }
    try await stage.open(plan)
    let users = try stage.users()
    users.begin(perSecond: 4)
    var stopped = 0
    for _ in 0..<rounds {
      try await stage.pass(milliseconds: 2_500)
      let victim = workers[stage.random.below(workers.count)]
      stopped += try await stage.held(by: stage.id(of: victim) ?? "").count
      stage.evidence.note("fault stopped \(victim.pid)")
      victim.process.signal(SIGSTOP)
      try await stage.pass(milliseconds: 4_000)
      victim.process.signal(SIGCONT)
      stage.evidence.note("fault continued \(victim.pid)")
    }
    var expected = Stage.Expectations()
    expected.ends = ["done", "interrupted"]
    let judge = try await stage.conclude(stopping: workers, expected)
    stage.show("jobs that a stopped worker held", stopped, "", .atLeast(1))
    stage.show("miners asked again", judge.reruns, "", .atLeast(1))
    // A write of the worker that had lost its lease would have been a gap, a repetition or a second effect.
    let interrupted = judge.requests.values.count { $0.end == "interrupted" }
    stage.show("answers interrupted", interrupted)
  }
}
