import Common
import Glibc

/// Everything at random for long, and then nothing may be left.
enum SoakCase {
  static let soak = ChaosCase(
    name: "soak", number: 30,
    about: "200 jobs a second with random faults; --minutes 30 for the whole; never part of all",
    seconds: 600,
    isInAll: false, run: run)

  /// Work of each round, and the time until its period has ended.
  private static let roundSeconds = 60
  private static let restSeconds = 6
  /// Jobs a second while there is work: 200 over a whole round.
  private static let (queries, requests) = (176, 44)

  /// Redis keeps 23 KB of times for each command that it ever got: that would look like growth.
  private static let settings = ["--latency-tracking", "no"]

  /// What stands in Redis after a round, when all that goes by itself is gone.
  private struct LeftOver {
    /// Bytes of each key, by its name.
    var keys: [String: Int] = [:]
    /// Bytes of Redis itself.
    var memory = 0

    var bytes: Int { keys.values.reduce(0, +) }
  }

  /// The baseline is a handful of keys with fixed names, so that 2 % of it are less than one: a key of those
  /// that first came later, and one that is being written, are no growth.
  private static let (spareKeys, spareKeyBytes) = (2, 128)

  @IO private static func run(_ stage: Stage) async throws {
    var redis = try await stage.startRedis(settings)
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let proxy = try stage.proxy()
    var behind = Stage.WorkerSettings()
    behind.url = proxy.url
    var workers = [
      try await stage.startWorker(), try await stage.startWorker(behind), try await stage.startWorker(),
    ]
    let rounds = max(2, Int((stage.parameters.minutes ?? 2) * 60) / (roundSeconds + restSeconds))
    var base = LeftOver()
    var faults: [String: Int] = [:]
    // The first round is without faults: what is there after it is what the others are held against.
    for round in 0..<rounds {
      var plan = Stage.Plan(miners: [miner, miner], queries: roundSeconds * queries)
      plan.dueMilliseconds = { 1_000 + $0 * 1_000 / queries }
      plan.periodSeconds = roundSeconds + restSeconds
      try await stage.open(plan)
      let users = try stage.users()
      users.begin(perSecond: Double(requests))
      let end = Monotonic.now().advanced(milliseconds: roundSeconds * 1000)
      while Monotonic.now() < end {
        try await stage.pass(milliseconds: 3_000 + stage.random.below(4_000))
        guard round > 0 else { continue }
        let fault = try await strike(stage, &workers, &redis, proxy, behind)
        faults[fault, default: 0] += 1
      }
      users.stop()
      await users.waitForReplies(seconds: 120)
      try await stage.drain(seconds: 120)
      // It is trimmed after each round: what is read is new.
      if round < rounds - 1 { try await stage.readLedger("final") }
      try await closePeriod(stage)
      if round < rounds - 1 {
        let left = try await leftOver(stage)
        if round == 0 { base = left }
      }
    }
    // Redis dies too: what it took in the last moments may be lost.
    let judge = try await stage.conclude(
      stopping: workers,
      .init(mayLose: true, ends: ["done", "interrupted", "dead"], drainSeconds: 120))
    RedisCases.showLoss(stage, judge, windowMilliseconds: 2_000)
    let end = try await leftOver(stage)
    stage.show("rounds", rounds)
    for (fault, count) in faults.sorted(by: { $0.key < $1.key }) { stage.show(fault, count) }
    stage.show("jobs", judge.requests.count + judge.due.count)
    stage.show("keys at the baseline", base.keys.count)
    stage.show(
      "keys beyond the baseline", end.keys.count - base.keys.count, "",
      .atMost(max(Double(spareKeys), 0.02 * Double(base.keys.count))))
    stage.show("memory of keys at the baseline", base.bytes, "bytes")
    stage.show(
      "memory of keys beyond the baseline", end.bytes - base.bytes, "bytes",
      .atMost(max(Double(spareKeys * spareKeyBytes), 0.02 * Double(base.bytes))))
    for (key, bytes) in end.keys.sorted(by: { $0.key < $1.key }) where base.keys[key] != bytes {
      stage.show("key \(key), before \(base.keys[key] ?? 0)", bytes, "bytes")
    }
    stage.show("memory of Redis at the baseline", base.memory, "bytes")
    let memory = 100 * Double(end.memory - base.memory) / Double(max(1, base.memory))
    stage.show("memory of Redis beyond the baseline", memory, "%", .atMost(2))
  }

  /// One fault by chance. Returns its name.
  @IO private static func strike(
    _ stage: Stage, _ workers: inout [StageProcess], _ redis: inout StageProcess, _ proxy: RedisProxy,
    _ behind: Stage.WorkerSettings
  ) async throws -> String {
    let victim = stage.random.below(workers.count)
    switch stage.random.below(7) {
    case 0:
      try await stage.kill(workers[victim])
      workers[victim] = try stage.launchWorker(victim == 1 ? behind : Stage.WorkerSettings())
      return "workers killed"
    case 1:
      let process = workers[victim].process
      process.signal(SIGSTOP)
      try await stage.pass(milliseconds: 4_000)
      process.signal(SIGCONT)
      return "workers stopped for 4 s"
    case 2:
      try await stage.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      return "connections killed"
    case 3:
      proxy.blackhole()
      return "connections gone silent"
    case 4:
      try await stage.redis("SCRIPT", "FLUSH")
      return "scripts flushed"
    case 5:
      workers[victim].process.signal(SIGTERM)
      workers[victim] = try stage.launchWorker(victim == 1 ? behind : Stage.WorkerSettings())
      return "workers asked to stop"
    default:
      stage.evidence.note("fault redis-dies")
      await redis.kill()
      try await stage.pass(milliseconds: 500)
      redis = try await stage.startRedis(settings)
      stage.evidence.note("fault redis-ready")
      return "Redis killed"
    }
  }

  /// Ends a round's period as the producer does.
  @IO private static func closePeriod(_ stage: Stage) async throws {
    guard let snapshot = stage.snapshot else { return }
    _ = try await stage.queue.lead(role: "producer", token: "chaos", lifeMilliseconds: 600_000)
    try await stage.sweepPeriod()
    let result = try await stage.queue.closePeriod(
      leader: "chaos", period: snapshot.id, isForced: false, keepSeconds: 60)
    guard result == .closed else { throw ChaosFailure("the period does not close: \(result)") }
  }

  /// Keys and bytes that are there without what goes by itself: replies and records that live for an hour,
  /// closed periods, and the ledger, which the aggregator trims.
  @IO private static func leftOver(_ stage: Stage) async throws -> LeftOver {
    let queue = stage.queue
    try await stage.redis("DEL", queue.keys.fixed(.ledger), queue.keys.fixed(.counts))
    var cursor = "0"
    repeat {
      let reply = try await stage.redis("SCAN", cursor, "MATCH", queue.keys.prefix + "*", "COUNT", "1000")
      cursor = reply[0]?.text ?? "0"
      let keys = (reply[1]?.elements ?? []).compactMap(\.text).filter { !$0.contains(":worker:") }
      let lives = keys.map { key in IO.task { @IO in try await queue.redis.send("PTTL", key).int ?? -1 } }
      for (key, life) in zip(keys, lives) where try await life.value > 0 {
        try await stage.redis("UNLINK", key)
      }
    } while cursor != "0"
    try await stage.pass(milliseconds: 1_000)
    try await stage.redis("SLOWLOG", "RESET")
    try await stage.redis("MEMORY", "PURGE")
    return try await sizes(stage)
  }

  /// All keys that are left but those of live workers, their memory, and all that Redis holds beside its
  /// connections, the buffer of its file and the scripts that it knows, which a flush or a restart takes away.
  /// Redis may have been started anew in between: what only a process keeps is then not seen.
  @IO private static func sizes(_ stage: Stage) async throws -> LeftOver {
    let names = (try await stage.redis("KEYS", "*").elements ?? []).compactMap(\.text)
      .filter { !$0.contains(":worker:") }
    let reads = names.map { name in
      IO.task { @IO in try await stage.redis("MEMORY", "USAGE", name, "SAMPLES", "0").int ?? 0 }
    }
    var keys: [String: Int] = [:]
    for (name, read) in zip(names, reads) { keys[name] = try await read.value }
    let stats = try await stage.redis("MEMORY", "STATS").elements ?? []
    func part(_ name: String) -> Int {
      stats.firstIndex { $0.text == name }.flatMap { stats[$0 + 1].int } ?? 0
    }
    let others = ["clients.normal", "aof.buffer", "lua.caches"].map(part).reduce(0, +)
    return LeftOver(keys: keys, memory: part("total.allocated") - others)
  }
}
