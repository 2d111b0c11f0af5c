import Common

/// A master that dies, or is left alone, while Sentinels look on.
enum SentinelCases {
  /// The longest that work may rest after a failover, ms.
  private static let restMillisecondsMax = 10_000.0

  // MARK: 7

  static let failover = ChaosCase(
    name: "failover", number: 7,
    about: "kill -9 of the master, with two replicas and three Sentinels; users wait for a replica, 10 times",
    seconds: 300, run: runFailover)

  @IO private static func runFailover(_ stage: Stage) async throws {
    let yard = try await SentinelYard(stage)
    let rounds = stage.parameters.times ?? 10
    let (workers, users) = try await begin(stage, queries: rounds * 160)
    users.isConfirmed = true
    users.begin(perSecond: 10)
    for _ in 0..<rounds {
      try await stage.pass(milliseconds: 2_000 + stage.random.below(1_000))
      stage.evidence.note("fault master-dies")
      let old = try await yard.killMaster()
      try await yard.waitForFailover(from: old)
      try yard.restart(old)
      try await yard.waitForReplicas()
      stage.evidence.note("fault replicas-back")
    }
    try await stage.pass(milliseconds: 3_000)
    let judge = try await conclude(stage, workers, mayLose: false)
    stage.show("failovers", judge.times(of: "replicas-back").count, "", .exactly(Double(rounds)))
    stage.show("requests that no replica confirmed", users.unconfirmed)
    let resumed = judge.resumptions(after: judge.times(of: "master-dies"))
    stage.show(
      "resumed after the master's death, worst", resumed.max() ?? 0, "ms", .atMost(restMillisecondsMax))
  }

  // MARK: 8

  static let partition = ChaosCase(
    name: "partition", number: 8,
    about: "for 30 s the master is alone with all clients; replicas and Sentinels choose another one",
    seconds: 240, run: runPartition)

  @IO private static func runPartition(_ stage: Stage) async throws {
    let yard = try await SentinelYard(stage, canBeParted: true)
    let (workers, users) = try await begin(stage, queries: 800)
    // None waits for a replica: what that would have cost is counted.
    users.begin(perSecond: 10)
    try await stage.pass(milliseconds: 5_000)
    stage.evidence.note("fault parted")
    yard.part()
    try await stage.pass(milliseconds: 30_000)
    yard.join()
    stage.evidence.note("fault joined")
    try await yard.waitForReplicas()
    try await stage.pass(milliseconds: 5_000)
    let judge = try await conclude(stage, workers, mayLose: true)
    let (parted, joined) = (judge.times(of: "parted"), judge.times(of: "joined"))
    // Replicas tell every second how far they are, and the master looks every second.
    let window = Double(SentinelYard.lagSecondsMax * 1_000 + 2_000)
    let taken = judge.requests.values.compactMap(\.acceptedAt).filter { $0 > parted[0] && $0 < joined[0] }
    stage.show(
      "last request taken after the parting", (taken.max() ?? parted[0]) - parted[0], "ms", .atMost(window))
    let ages = judge.lostRequests.compactMap { judge.requests[$0]?.acceptedAt }.map { $0 - parted[0] }
    stage.show("requests lost that were taken in that time", ages.count { $0 > 0 && Double($0) <= window })
    let others = ages.count { $0 <= 0 || Double($0) > window }
    stage.show("requests lost that were taken before or after it", others, "", .exactly(0))
    stage.show(
      "resumed after the joining", judge.resumptions(after: joined)[0], "ms", .atMost(restMillisecondsMax))
  }

  // MARK: both

  @IO private static func begin(
    _ stage: Stage, queries: Int
  ) async throws -> (workers: [StageProcess], users: Users) {
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    var plan = Stage.Plan(miners: [miner, miner], queries: queries)
    plan.dueMilliseconds = { 1_000 + $0 * 40 }
    // What became due meanwhile keeps the pace.
    (plan.pacePerSecond, plan.burst) = (60, 20)
    try await stage.open(plan)
    _ = try await stage.redis("WAIT", "2", "5000")
    return (workers, try stage.users())
  }

  /// The ledger is read at the end alone: what a master wrote that died is not what happened.
  @IO private static func conclude(_ stage: Stage, _ workers: [StageProcess], mayLose: Bool) async throws
    -> Judge
  {
    let restarted = workers.count { !$0.isRunning }
    var expected = Stage.Expectations()
    expected.ends = ["done", "interrupted"]
    expected.drainSeconds = 120
    expected.mayLose = mayLose
    let judge = try await stage.conclude(stopping: workers, expected)
    stage.show("workers that ended by themselves", restarted, "", .exactly(0))
    return judge
  }
}
