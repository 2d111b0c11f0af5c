import Common

/// Much at once, much in store, and nothing at all.
enum LoadCases {
  // MARK: 17

  static let million = ChaosCase(
    name: "million-delayed", number: 17,
    about: "a million delayed queries, 1,000 of them due each second for 20 s", seconds: 300, run: runMillion)

  @IO private static func runMillion(_ stage: Stage) async throws {
    try await stage.startRedis(["--save", ""])
    let miner = try await stage.startMiner(tokens: 2, perSecond: 0)
    let before = try await stage.usedMemory()
    let (near, all) = (20_000, 1_000_000)
    var plan = Stage.Plan(miners: [miner, miner], queries: all, isRecorded: false)
    plan.periodSeconds = 7_200
    // The queries of the measurement are due once all others are scheduled.
    let wait = 100_000
    plan.dueMilliseconds = { $0 < near ? wait + $0 : wait + 60_000 + ($0 - near) * 3 }
    let start = try await stage.queue.nowMilliseconds()
    try await stage.open(plan)
    let bytes = Double(try await stage.usedMemory() - before) / Double(all)
    let late = try await stage.queue.nowMilliseconds() - start
    guard late < wait - 8_000 else { throw ChaosFailure("scheduling took \(late) ms") }
    let lines = (0..<near).map { number in
      let job = SyntheticJob(
        period: stage.snapshot?.id ?? PeriodID(startSeconds: 1), task: Stage.task, miner: number % 2,
        number: number / 2)
      return "plan \(job) \(start + wait + number)"
    }
    stage.evidence.note(lines)
    var settings = Stage.WorkerSettings()
    settings.slots = 400
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    try await stage.redis("SLOWLOG", "RESET")
    try await stage.pass(milliseconds: start + wait + near + 1_000 - stage.queue.nowMilliseconds())
    let judge = try await stage.conclude(stopping: workers)
    let times = judge.latenesses
    stage.show("for each delayed query", bytes, "bytes", .atMost(250))
    // Some may share a seed.
    stage.show("queries that were judged", times.count, "", .atLeast(Double(near) * 0.999))
    stage.show("early by more than 5 ms", times.count { $0 < -5 }, "", .exactly(0))
    stage.show("late, p50", times.quantile(0.5), "ms", .atMost(10))
    stage.show("late, p99", times.quantile(0.99), "ms", .atMost(100))
    try await stage.showSlowScripts()
  }

  // MARK: 18

  static let burst = ChaosCase(
    name: "burst", number: 18, about: "100,000 queries due in one millisecond, users ask 50 times a second",
    seconds: 300, run: runBurst)

  @IO private static func runBurst(_ stage: Stage) async throws {
    try await stage.startRedis(["--save", ""])
    let miner = try await stage.startMiner(tokens: 3, perSecond: 30)
    var plan = Stage.Plan(miners: [miner, miner], queries: 100_000, isRecorded: false)
    plan.dueMilliseconds = { _ in 25_000 }
    plan.periodSeconds = 60
    let start = Monotonic.now()
    // The pace that a producer would set for a period of this length.
    (plan.pacePerSecond, plan.burst) = (500, 100)
    try await stage.open(plan)
    var settings = Stage.WorkerSettings()
    settings.slots = 200
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    try await stage.redis("SLOWLOG", "RESET")
    let users = try stage.users()
    let untilDue = 24_000 - Monotonic.now().milliseconds(since: start)
    if untilDue > 0 { try await stage.pass(milliseconds: untilDue) }
    users.begin(perSecond: 50)
    try await stage.pass(milliseconds: 20_000)
    users.stop()
    await users.waitForReplies(seconds: 20)
    try await stage.showSlowScripts()
    let due = try await stage.redis("ZCARD", stage.queue.keys.fixed(.due)).int ?? 0
    // The rest is what a period's end leaves: it is swept, as the producer does.
    try await stage.sweepPeriod()
    let judge = try await stage.conclude(stopping: workers)
    stage.show("queries that ran beside them", 100_000 - due, "", .atLeast(1_000))
    stage.show("users' wait for a miner, p50", judge.waits.quantile(0.5), "ms")
    stage.show("users' wait for a miner, p99", judge.waits.quantile(0.99), "ms", .atMost(50))
  }

  // MARK: 29

  static let idle = ChaosCase(
    name: "idle-fleet", number: 29, about: "20 idle workers, heartbeats included", seconds: 120, run: runIdle)

  @IO private static func runIdle(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 0)
    try await stage.open(Stage.Plan(miners: [miner]))
    let proxy = try stage.proxy()
    var counts: [String: Int] = [:]
    proxy.onCommand = { command in
      counts[command.kind, default: 0] += 1
      return .pass
    }
    var settings = Stage.WorkerSettings()
    settings.url = proxy.url
    var workers: [StageProcess] = []
    for _ in 0..<20 { workers.append(try await stage.startWorker(settings)) }
    try await stage.pass(milliseconds: 6_000)
    counts = [:]
    let start = Monotonic.now()
    try await stage.pass(milliseconds: 30_000)
    let perSecond = 20 * Double(Monotonic.now().milliseconds(since: start)) / 1000
    let found = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    try await stage.conclude(stopping: workers)
    stage.show(
      "commands a second of each worker", Double(found.reduce(0) { $0 + $1.value }) / perSecond, "/s",
      .atMost(1.5))
    for (kind, count) in found.prefix(12) { stage.show("of these \(kind)", Double(count) / perSecond, "/s") }
  }
}
