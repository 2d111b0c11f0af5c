import Common
import Glibc

/// More work than there is room for.
enum CapacityCases {
  // MARK: 15

  static let memoryFull = ChaosCase(
    name: "memory-full", number: 15,
    about: "Redis at its memory limit for 20 s with work in flight; --minutes 5 for more", seconds: 200,
    run: runMemoryFull)

  @IO private static func runMemoryFull(_ stage: Stage) async throws {
    try await stage.startRedis(["--maxmemory", "64mb", "--save", ""])
    let miner = try await stage.startMiner(tokens: 40, perSecond: 10)
    let seconds = stage.parameters.minutes.map { Int($0 * 60) } ?? 20
    var plan = Stage.Plan(miners: [miner, miner], queries: (seconds + 5) * 20)
    plan.dueMilliseconds = { 1_000 + $0 * 50 }
    try await stage.open(plan)
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    try stage.users().begin(perSecond: 10)
    try await stage.pass(milliseconds: 3_000)
    stage.users[0].stop()
    // Somebody else's data takes what is left, until Redis itself refuses.
    var blobs = 0
    let blob = String(repeating: "x", count: 1 << 18)
    var size = blob.utf8.count
    while size >= 64 {
      do throws(RedisError) {
        _ = try await stage.queue.redis.send("SET", "blob:\(blobs)", String(blob.prefix(size)))
        blobs += 1
      } catch {
        guard error.code == .outOfMemory else { throw error }
        size /= 8
      }
    }
    let late = try stage.users()
    late.begin(perSecond: 50)
    let limit = Monotonic.now().advanced(milliseconds: seconds * 1000)
    var (looks, lapsed) = (0, 0)
    while Monotonic.now() < limit {
      try await stage.pass(milliseconds: 250)
      let now = try await stage.queue.nowMilliseconds()
      let past = try await stage.redis("ZCOUNT", stage.queue.keys.fixed(.lease), "-inf", String(now))
      lapsed += past.int ?? 0
      looks += 1
    }
    late.stop()
    let used = Double(try await stage.usedMemory()) / Double(64 << 20)
    try await stage.drainRunning(seconds: 60)
    for number in 0..<blobs { try await stage.redis("UNLINK", "blob:\(number)") }
    let judge = try await stage.conclude(stopping: workers)
    stage.show("memory used while it was full", 100 * used, "%")
    let refused = judge.requests.values.filter { $0.refusal != nil }
    stage.show(
      "requests refused as full", refused.count { $0.refusal == "full" }, "", .atLeast(Double(seconds * 20)))
    stage.show(
      "other answers or errors", refused.count { $0.refusal != "full" } + late.errors.count, "", .exactly(0))
    stage.show("time to a refusal, p99", judge.refusalTimes.quantile(0.99), "ms", .atMost(10))
    stage.show("leases that ran out, in \(looks) looks", lapsed, "", .exactly(0))
    stage.show("miners asked again", judge.reruns, "", .exactly(0))
  }

  // MARK: 19

  static let longJobs = ChaosCase(
    name: "long-jobs", number: 19, about: "long queries hold every slot that they may; users come in bursts",
    seconds: 180, run: runLongJobs)

  @IO private static func runLongJobs(_ stage: Stage) async throws {
    try await stage.startRedis()
    // A minute each: longer than the case.
    let slow = try await stage.startMiner(tokens: 120, perSecond: 2)
    let quick = try await stage.startMiner(tokens: 5, perSecond: 50)
    var plan = Stage.Plan(miners: [slow], queries: 400)
    plan.others = [quick]
    plan.dueMilliseconds = { _ in 1_000 }
    plan.totalMilliseconds = 90_000
    try await stage.open(plan)
    var settings = Stage.WorkerSettings()
    settings.slots = 100
    settings.graceMilliseconds = 0
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    try await stage.wait(seconds: 20, for: "full slots") {
      try await stage.redis("ZCARD", stage.queue.keys.fixed(.lease)).int == 160
    }
    let users = try stage.users()
    users.beginReading()
    // Both workers keep 20 slots for users.
    for _ in 0..<15 {
      let burst = (0..<40).map { _ in IO.task { @IO in await users.askOnce() } }
      for each in burst { _ = await each.value }
      try await stage.pass(milliseconds: 1_000)
    }
    users.stop()
    await users.waitForReplies(seconds: 30)
    let running = try await stage.redis("ZCARD", stage.queue.keys.fixed(.lease)).int ?? 0
    try await stage.stop(workers)
    try await stage.readLedger("final")
    let judge = try Judge(reading: stage.evidence.path, periodSeed: stage.periodSeed)
    stage.show("users' requests", judge.requests.count, "", .exactly(600))
    stage.show("users' requests lost", judge.lostRequests.count, "", .exactly(0))
    stage.show("long queries that ran on", running, "", .exactly(160))
    stage.show("users' wait for a miner, p50", judge.waits.quantile(0.5), "ms")
    stage.show("users' wait for a miner, p99", judge.waits.quantile(0.99), "ms", .atMost(50))
    stage.show("findings of vision fsck", try await stage.fsck(), "", .exactly(0))
  }

  // MARK: 20

  static let overload = ChaosCase(
    name: "overload", number: 20, about: "users ask for twice what one worker can do, for a minute",
    seconds: 240, run: runOverload)

  @IO private static func runOverload(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 20, perSecond: 20)
    var plan = Stage.Plan(miners: [miner, miner], queries: 1_200)
    plan.dueMilliseconds = { 1_000 + $0 * 50 }
    plan.periodSeconds = 100
    try await stage.open(plan)
    try await stage.queue.publish(DoorLimits(waitingMax: 300, payloadBytesMax: 1 << 20))
    var settings = Stage.WorkerSettings()
    settings.slots = 20
    let workers = [try await stage.startWorker(settings)]
    let users = try stage.users()
    users.begin(perSecond: 40)
    let began = WallClock.nowMilliseconds()
    try await stage.pass(milliseconds: 60_000)
    let ended = WallClock.nowMilliseconds()
    let waiting = try await stage.redis("ZCARD", stage.queue.keys.fixed(.organic)).int ?? 0
    users.stop()
    await users.waitForReplies(seconds: 60)
    try await stage.sweepPeriod()
    let judge = try await stage.conclude(stopping: workers)
    let (users20, tests) = judge.beginnings(from: began + 10_000, to: ended)
    let share = 100 * Double(tests) / Double(max(1, users20 + tests))
    stage.show("tests' share of the jobs", share, "%", .atLeast(9))
    stage.show("requests waiting at the end", waiting, "", .atMost(300))
    let refused = judge.requests.values.count { $0.refusal == "full" }
    stage.show("requests refused as full", refused, "", .atLeast(300))
  }

  // MARK: 27

  static let slowReader = ChaosCase(
    name: "slow-reader", number: 27, about: "long replies that nobody reads, up to the cap of their bytes",
    seconds: 120, run: runSlowReader)

  @IO private static func runSlowReader(_ stage: Stage) async throws {
    try await stage.startRedis()
    let long = try await stage.startMiner(tokens: 2_000, perSecond: 400)
    let quick = try await stage.startMiner(tokens: 5, perSecond: 50)
    var plan = Stage.Plan(miners: [quick], queries: 200)
    plan.others = [long]
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    try await stage.open(plan)
    var settings = Stage.WorkerSettings()
    let cap = 100_000
    settings.more = ["--reply-bytes-max", String(cap)]
    let workers = [try await stage.startWorker(settings)]
    let users = try stage.users()
    let ids = await users.askMany(40)
    var readers: [String: Int] = [:]
    try await stage.wait(seconds: 60, for: "the replies to end") {
      for id in ids where readers[id] == nil {
        let last = try await stage.queue.redis.send(
          "XREVRANGE", stage.queue.keys.reply(id), "+", "-", "COUNT", "1")
        if last[0]?[1]?.fields?["end"] != nil { readers[id] = 1 }
      }
      return readers.count == ids.count
    }
    // Read only now, from the beginning: everything is there.
    users.beginReading()
    let judge = try await stage.conclude(stopping: workers, .init(ends: ["done", "too_large"]))
    let sizes = try await replySizes(stage, ids)
    stage.show(
      "replies that reached their cap", judge.requests.values.count { $0.end == "too_large" }, "", .atLeast(1)
    )
    stage.show("largest reply", sizes.max() ?? 0, "bytes", .atMost(Double(cap)))
  }

  @IO private static func replySizes(_ stage: Stage, _ ids: [String]) async throws -> [Int] {
    var sizes: [Int] = []
    for id in ids {
      let entries = try await stage.redis("XRANGE", stage.queue.keys.reply(id), "-", "+").elements ?? []
      sizes.append(entries.reduce(0) { $0 + ($1[1]?.fields?["data"]?.utf8.count ?? 0) })
    }
    return sizes
  }
}
