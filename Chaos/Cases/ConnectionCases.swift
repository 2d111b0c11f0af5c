import Common
import Glibc

/// Connections that are cut, go silent, or answer late and half.
enum ConnectionCases {
  // MARK: 9

  static let clientKill = ChaosCase(
    name: "client-kill", number: 9, about: "CLIENT KILL TYPE normal every 200 ms for a minute", seconds: 240,
    run: runClientKill)

  @IO private static func runClientKill(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let proxies = [try stage.proxy(), try stage.proxy()]
    var workers: [StageProcess] = []
    for proxy in proxies {
      var settings = Stage.WorkerSettings()
      settings.url = proxy.url
      workers.append(try await stage.startWorker(settings))
    }
    let seconds = 60
    var plan = Stage.Plan(miners: [miner, miner], queries: seconds * 20)
    plan.dueMilliseconds = { 1_000 + $0 * 50 }
    try await stage.open(plan)
    try stage.users().begin(perSecond: 10)
    let before = proxies.map(\.accepted).reduce(0, +)
    let start = Monotonic.now()
    while Monotonic.now().milliseconds(since: start) < seconds * 1000 {
      try await stage.pass(milliseconds: 200)
      try await stage.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }
    let made = proxies.map(\.accepted).reduce(0, +) - before
    let expected = Stage.Expectations(ends: ["done", "interrupted"])
    try await stage.conclude(stopping: workers, expected)
    stage.show("connects a second of each worker", Double(made) / Double(seconds * 2), "/s", .atMost(2))
  }

  // MARK: 10

  static let blackhole = ChaosCase(
    name: "blackhole", number: 10,
    about: "a worker's connections, the blocking one too, go silent without an end", seconds: 240,
    run: runBlackhole)

  @IO private static func runBlackhole(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 50)
    let proxy = try stage.proxy()
    var settings = Stage.WorkerSettings()
    settings.url = proxy.url
    let worker = try await stage.startWorker(settings)
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    let users = try stage.users()
    users.begin(perSecond: 5)
    let rounds = stage.parameters.times ?? 5
    for _ in 0..<rounds {
      try await stage.pass(milliseconds: 3_000 + stage.random.below(2_000))
      stage.evidence.note("fault silent")
      proxy.blackhole()
      try await stage.pass(milliseconds: 9_000)
    }
    let judge = try await stage.conclude(stopping: [worker], .init(ends: ["done", "interrupted"]))
    let resumed = judge.resumptions(after: judge.times(of: "silent"))
    stage.show("times", rounds)
    stage.show("claims go on after, worst", resumed.max() ?? 0, "ms", .atMost(7_000))
  }

  // MARK: 11

  static let lostReplies = ChaosCase(
    name: "lost-replies", number: 11,
    about: "Redis executes a script, and its reply is lost or arrives by half: each script 10 times",
    seconds: 300, run: runLostReplies)

  @IO private static func runLostReplies(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let proxy = try stage.proxy()
    var settings = Stage.WorkerSettings()
    settings.url = proxy.url
    // A second request at a miner is then a job that ran again, and nothing else.
    settings.more = ["--hedge-share", "0"]
    let times = stage.parameters.times ?? 10
    var struck: [String: Int] = [:]
    var seen: [String: Int] = [:]
    proxy.onCommand = { command in
      seen[command.kind, default: 0] += 1
      // The first of each kind in any case: a slow machine may see few.
      let isChosen = seen[command.kind] == 1 || stage.random.below(3) == 0
      guard struck[command.kind, default: 0] < times, isChosen else { return .pass }
      struck[command.kind, default: 0] += 1
      return stage.random.below(2) == 0 ? .strikeAfter : .half
    }
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    var plan = Stage.Plan(miners: [miner, miner], queries: times * 120)
    plan.dueMilliseconds = { 1_000 + $0 * 40 }
    try await stage.open(plan)
    let users = try stage.users(through: proxy.url)
    // Its reply is lost, as that of the first command of each kind.
    try? await users.showScript()
    users.begin(perSecond: 10)
    try await stage.pass(milliseconds: times * 5_000)
    // Some scripts run rarely, and not at all in the first seconds of a Redis.
    let scripts = ["claim", "append", "settle", "renew", "recover", "expire", "route", "submit"]
    let least = times < 5 ? 1 : 3
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while scripts.contains(where: { struck[$0] ?? 0 < least }), Monotonic.now() < limit {
      try await stage.pass(milliseconds: 100)
    }
    proxy.onCommand = nil
    proxy.resetAll()
    let judge = try await stage.conclude(stopping: workers)
    for script in scripts {
      stage.show("lost replies of \(script)", struck[script] ?? 0, "", .atLeast(Double(least)))
    }
    stage.show("lost replies in all", struck.values.reduce(0, +))
    stage.show("miners asked again", judge.reruns, "", .exactly(0))
  }

  // MARK: 13

  static let slowNetwork = ChaosCase(
    name: "slow-network", number: 13,
    about: "200 ms ± 200 ms between workers and Redis, 1 % of pieces reset, 64 kbit/s", seconds: 240,
    run: runSlowNetwork)

  @IO private static func runSlowNetwork(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 10)
    let proxies = [try stage.proxy(), try stage.proxy()]
    var workers: [StageProcess] = []
    for proxy in proxies {
      var settings = Stage.WorkerSettings()
      settings.url = proxy.url
      settings.slots = 8
      workers.append(try await stage.startWorker(settings))
    }
    for proxy in proxies {
      proxy.rules = ProxyRules(latencyMilliseconds: 200, resetShare: 0.01, bytesPerSecond: 8_000)
    }
    var plan = Stage.Plan(miners: [miner, miner], queries: 80)
    plan.dueMilliseconds = { 1_000 + $0 * 500 }
    try await stage.open(plan)
    try stage.users().begin(perSecond: 0.5)
    try await stage.pass(milliseconds: 42_000)
    for proxy in proxies { proxy.rules = ProxyRules() }
    let judge = try await stage.conclude(stopping: workers)
    stage.show("jobs that were taken from a live worker", judge.reruns, "", .exactly(0))
  }
}
