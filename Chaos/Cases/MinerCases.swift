import Common
import Glibc

/// Miners that misbehave, users that come and go, jobs that kill their workers.
enum MinerCases {
  // MARK: 25

  static let badMiners = ChaosCase(
    name: "bad-miners", number: 25,
    about: "miners that stall, drip, reset, answer 500, never end, or send what unpacks without end",
    seconds: 180, run: runBadMiners)

  private static let faults = ["stall", "drip", "reset", "http-500", "endless", "bomb"]

  @IO private static func runBadMiners(_ stage: Stage) async throws {
    try await stage.startRedis()
    var miners: [String] = []
    for fault in faults {
      miners.append(try await stage.startMiner(tokens: 40, perSecond: 40, ["--fault", fault]))
    }
    miners.append(try await stage.startMiner(tokens: 10, perSecond: 40))
    var plan = Stage.Plan(miners: miners, queries: miners.count * 40)
    plan.dueMilliseconds = { 1_000 + $0 * 60 }
    (plan.totalMilliseconds, plan.stallMilliseconds) = (4_000, 1_500)
    try await stage.open(plan)
    let worker = try await stage.startWorker()
    try await stage.pass(milliseconds: 1_500)
    let before = try ProcessMemory.resident(of: worker.pid)
    var peak = before
    let limit = Monotonic.now().advanced(milliseconds: 24_000)
    while Monotonic.now() < limit {
      try await stage.pass(milliseconds: 250)
      peak = max(peak, try ProcessMemory.resident(of: worker.pid))
    }
    let judge = try await stage.conclude(stopping: [worker])
    for (index, fault) in faults.enumerated() {
      let good = judge.effects.filter { SyntheticJob(id: $0.key)?.miner == index && $0.value.good > 0 }.count
      stage.show("good outcomes of \(fault)", good, "", .exactly(0))
    }
    let honest = judge.effects.filter { SyntheticJob(id: $0.key)?.miner == faults.count }.values
    stage.show("good outcomes of the honest one", honest.count { $0.good == 1 }, "", .exactly(40))
    stage.show("longest attempt", judge.longestAttempt, "ms", .atMost(5_000))
    stage.show("memory that the worker grew by", Double(peak - before) / 1_048_576, "MiB", .atMost(64))
  }

  // MARK: 26

  static let midStream = ChaosCase(
    name: "mid-stream", number: 26,
    about: "readers lose their connection in mid-answer and resume; workers die in mid-answer", seconds: 180,
    run: runMidStream)

  @IO private static func runMidStream(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 60, perSecond: 30)
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    var settings = Stage.WorkerSettings()
    settings.organicLeaseMilliseconds = 2_000
    var workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    let proxy = try stage.proxy()
    let users = try stage.users(through: proxy.url)
    users.begin(perSecond: 8)
    var cuts = 0
    for second in 0..<(stage.parameters.times ?? 20) {
      for _ in 0..<3 {
        try await stage.pass(milliseconds: 300 + stage.random.below(100))
        proxy.resetAll()
        cuts += 1
      }
      guard second % 4 == 3 else { continue }
      let victim = stage.random.below(2)
      try await stage.kill(workers[victim])
      workers[victim] = try stage.launchWorker(settings)
    }
    let judge = try await stage.conclude(stopping: workers, .init(ends: ["done", "interrupted"]))
    let torn = judge.requests.values.filter { $0.end == "interrupted" }
    stage.show("connections of readers cut", cuts)
    stage.show("answers interrupted in the middle", torn.count, "", .atLeast(1))
    stage.show(
      "interrupted ones begun again", torn.count { $0.endings > 1 || $0.afterEnd > 0 }, "", .exactly(0))
    let whole = judge.requests.values.filter { $0.end == "done" }
    stage.show("whole answers with all 60 tokens", whole.count { $0.tokens != 60 }, "missing", .exactly(0))
  }

  // MARK: 21

  static let poison = ChaosCase(
    name: "poison", number: 21,
    about: "a request whose workers die, records that are no records, bodies that are no JSON", seconds: 240,
    run: runPoison)

  @IO private static func runPoison(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 20)
    // Users' requests go to a miner of which no text ever comes: none can end as interrupted.
    let silent = try await stage.startMiner(tokens: 5, perSecond: 20, ["--fault", "drip"])
    var plan = Stage.Plan(miners: [miner], queries: 1_000)
    plan.others = [silent]
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    try await stage.open(plan)
    var settings = Stage.WorkerSettings()
    settings.organicLeaseMilliseconds = 1_000
    settings.syntheticLeaseMilliseconds = 1_000
    var workers: [StageProcess] = []
    for _ in 0..<3 { workers.append(try await stage.startWorker(settings)) }
    try await stage.pass(milliseconds: 2_000)
    let began = WallClock.nowMilliseconds()
    let failed = try await poisonRecords(stage)
    let deaths = try await killEveryWorker(stage, of: "poison-crash", &workers, settings)
    try await stage.pass(milliseconds: 3_000)
    let ended = WallClock.nowMilliseconds()
    let judge = try await stage.conclude(stopping: workers)
    stage.show("bodies that are none ended with an error", failed, "", .exactly(2))
    stage.show("deaths until it was given up", deaths, "", .exactly(3))
    let state = try await stage.redis("HGET", stage.queue.keys.job("poison-crash"), "state").text
    stage.show("it is in the dead list", state == "dead" ? 1 : 0, "", .exactly(1))
    let good = judge.effects.values.count { $0.outcomes == ["ok"] }
    stage.show("other jobs that went well", 100 * Double(good) / 1_000, "%", .atLeast(99))
    stage.show("longest time without a claim", judge.longestGap(from: began, to: ended), "ms", .atMost(1_500))
  }

  /// Jobs that cannot be served, each in its own way.
  @IO private static func poisonRecords(_ stage: Stage) async throws -> Int {
    let keys = stage.queue.keys
    // Truncated JSON and bytes that are no text: they pass the door when they are long, and end as errors.
    let filler = String(repeating: "x", count: 70_000)
    let truncated = Array(#"{"messages":[{"role":"user","content":"\#(filler)"#.utf8)
    let garbled =
      Array("{\"messages\":[{\"role\":\"user\",\"content\":\"".utf8)
      + [UInt8](repeating: 0xff, count: 70_000) + Array("\"}]}".utf8)
    _ = try await stage.queue.submit(id: "poison-truncated", task: Stage.task, payload: truncated)
    _ = try await stage.queue.submit(id: "poison-garbled", task: Stage.task, payload: garbled)
    // Waiting members without a record, with one of another type, and of another version.
    for (index, name) in ["poison-missing", "poison-type", "poison-version"].enumerated() {
      try await stage.redis("ZADD", keys.fixed(.organic), String(index), name)
    }
    try await stage.redis("SET", keys.job("poison-type"), "no hash")
    try await stage.redis("HSET", keys.job("poison-version"), "v", "99", "state", "unheard-of")
    try await stage.redis("ZADD", keys.fixed(.due), "0", "s:not:a:query")
    try await stage.wait(seconds: 20, for: "the damaged jobs to be passed by") {
      for name in ["poison-missing", "poison-type", "poison-version"] {
        let score = try await stage.queue.redis.send("ZSCORE", keys.fixed(.organic), name)
        guard score.isNull else { return false }
      }
      return true
    }
    try await stage.redis("UNLINK", keys.job("poison-type"), keys.job("poison-version"))
    var failed = 0
    for name in ["poison-truncated", "poison-garbled"] {
      try await stage.wait(seconds: 20, for: "\(name) to end") {
        try await stage.queue.redis.send("HGET", keys.job(name), "finished").isNull == false
      }
      let last = try await stage.redis("XREVRANGE", keys.reply(name), "+", "-", "COUNT", "1")
      if last[0]?[1]?.fields?["status"] == "400" { failed += 1 }
    }
    return failed
  }

  /// Kills whichever worker takes the request, and starts another, until nobody gets it any more. Returns the
  /// deaths.
  @IO private static func killEveryWorker(
    _ stage: Stage, of id: String, _ workers: inout [StageProcess], _ settings: Stage.WorkerSettings
  ) async throws -> Int {
    let payload = Array(#"{"messages":[{"role":"user","content":"Boom."}],"seed":1999999999}"#.utf8)
    _ = try await stage.queue.submit(id: id, task: Stage.task, payload: payload)
    var deaths = 0
    while deaths < 10 {
      var (holder, state) = ("", "")
      try await stage.wait(seconds: 30, for: "somebody to take \(id)") {
        let reply = try await stage.queue.redis.send("HMGET", stage.queue.keys.job(id), "worker", "state")
        (holder, state) = (reply[0]?.text ?? "", reply[1]?.text ?? "")
        return state == "dead" || (state == "running" && workers.contains { holder.contains("-\($0.pid)-") })
      }
      guard state == "running", let index = workers.firstIndex(where: { holder.contains("-\($0.pid)-") })
      else {
        break
      }
      try await stage.kill(workers[index])
      deaths += 1
      workers[index] = try stage.launchWorker(settings)
      // A crash counts once the worker's heartbeat is gone.
      try await stage.redis("DEL", stage.queue.keys.worker(holder))
    }
    return deaths
  }
}
