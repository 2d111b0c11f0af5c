import Common
import Glibc

/// What clients and operators can do to the queue.
enum QueueCases {
  // MARK: 12

  static let unblock = ChaosCase(
    name: "unblock", number: 12, about: "blocking waits are cut off 10,000 times while users ask",
    seconds: 180, run: runUnblock)

  @IO private static func runUnblock(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 3, perSecond: 100)
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    let users = try stage.users()
    users.begin(perSecond: 40)
    var cut = 0
    let wanted = 10_000
    let limit = Monotonic.now().advanced(milliseconds: 90_000)
    while cut < wanted, Monotonic.now() < limit {
      let list = try await stage.redis("CLIENT", "LIST", "TYPE", "normal").text ?? ""
      let ids = list.split(separator: "\n").filter { $0.contains("-markers ") || $0.contains("-organics ") }
        .compactMap { $0.firstMatch(of: /id=(\d+)/).map { String($0.1) } }
      for round in 0..<20 {
        for id in ids {
          let how = round == 19 && stage.random.below(10) == 0 ? "ERROR" : "TIMEOUT"
          cut += try await stage.redis("CLIENT", "UNBLOCK", id, how).int ?? 0
        }
        try await stage.pass(milliseconds: 1)
      }
    }
    try await stage.conclude(stopping: workers)
    stage.show("waits cut off", cut, "", .atLeast(Double(wanted)))
  }

  // MARK: 14

  static let flush = ChaosCase(
    name: "flush", number: 14, about: "SCRIPT FLUSH and FUNCTION FLUSH under load, then FLUSHALL",
    seconds: 180, run: runFlush)

  @IO private static func runFlush(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 50)
    var plan = Stage.Plan(miners: [miner, miner], queries: (stage.parameters.times ?? 10) * 40)
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    try await stage.open(plan)
    let workers = [try await stage.startWorker(), try await stage.startWorker()]
    let users = try stage.users()
    users.begin(perSecond: 20)
    for _ in 0..<(stage.parameters.times ?? 10) * 10 {
      try await stage.pass(milliseconds: 100)
      try await stage.redis("SCRIPT", "FLUSH")
    }
    try await stage.redis("FUNCTION", "FLUSH")
    let flushed = Monotonic.now()
    try await stage.wait(seconds: 20, for: "the functions for gateways") {
      try await FunctionLibrary.isPublished(on: stage.queue.redis)
    }
    let published = Monotonic.now().milliseconds(since: flushed)
    users.stop()
    await users.waitForReplies(seconds: 30)
    let errors = users.errors.count
    try await stage.drain()
    try await stage.readLedger("final")
    let judge = try Judge(reading: stage.evidence.path, periodSeed: stage.periodSeed)
    stage.show("requests accepted", judge.requests.values.count { $0.acceptedAt != nil }, "", .atLeast(20))
    stage.show("lost", judge.lostRequests.count + judge.lostQueries.count, "", .exactly(0))
    stage.show("effects counted twice", judge.doubled.count, "", .exactly(0))
    stage.show("users' errors", errors, "", .exactly(0))
    stage.show("functions are back after", published, "ms", .atMost(5_000))
    // Everything is gone: nobody can prevent that, but it is said aloud, and work goes on with what comes.
    try await stage.redis("FLUSHALL")
    let emptied = Monotonic.now()
    try await stage.wait(seconds: 20, for: "somebody to notice") {
      workers.contains { $0.text.contains("Redis lost its data") }
    }
    let noticed = Monotonic.now().milliseconds(since: emptied)
    stage.show("an empty Redis is noticed after", noticed, "ms", .atMost(5_000))
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    let others = try stage.users()
    others.begin(perSecond: 10)
    try await stage.pass(milliseconds: 3_000)
    others.stop()
    await others.waitForReplies(seconds: 30)
    try await stage.stop(workers)
    let after = try Judge(reading: stage.evidence.path, periodSeed: stage.periodSeed)
    stage.show("requests lost afterwards", after.lostRequests.count, "", .exactly(0))
    stage.show("findings of vision fsck", try await stage.fsck(), "", .exactly(0))
  }

  // MARK: 23

  static let duplicates = ChaosCase(
    name: "duplicates", number: 23, about: "one request from 1,000 clients at once, 20 times", seconds: 120,
    run: runDuplicates)

  @IO private static func runDuplicates(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 5, perSecond: 50)
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    let workers = [try await stage.startWorker()]
    let address = try RedisAddress(url: "unix://" + stage.redisSocket)
    let clients = (0..<1_000).map { _ in
      let client = JobQueue(
        redis: RedisClient(address: address, options: .init(name: "storm")), keys: stage.queue.keys)
      client.patienceMilliseconds = 20_000
      return client
    }
    defer { for client in clients { client.redis.close() } }
    let rounds = stage.parameters.times ?? 20
    var (created, duplicates, other) = (0, 0, 0)
    for round in 0..<rounds {
      let (id, seed) = ("storm-\(round)", 1_900_000_000 + round)
      let payload = Array(#"{"messages":[{"role":"user","content":"Once."}],"seed":\#(seed)}"#.utf8)
      stage.evidence.note("user asked \(id) \(seed)")
      let calls = clients.map { client in
        IO.task { @IO in try await client.submit(id: id, task: Stage.task, payload: payload) }
      }
      for call in calls {
        switch try await call.value {
        case .created: created += 1
        case .duplicate: duplicates += 1
        case .refused: other += 1
        }
      }
    }
    let judge = try await stage.conclude(stopping: workers)
    stage.show("created", created, "", .exactly(Double(rounds)))
    stage.show("told that it is known", duplicates, "", .exactly(Double(rounds * 999)))
    stage.show("other answers", other, "", .exactly(0))
    let served = (0..<rounds).map { judge.services[1_900_000_000 + $0]?.beginnings.count ?? 0 }
    stage.show("served once", served.count { $0 == 1 }, "", .exactly(Double(rounds)))
  }

  // MARK: 24

  static let cancel = ChaosCase(
    name: "cancel", number: 24, about: "2,000 requests cancelled at any moment of their lives", seconds: 180,
    run: runCancel)

  @IO private static func runCancel(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 20, perSecond: 30)
    try await stage.open(Stage.Plan(miners: [miner, miner]))
    var settings = Stage.WorkerSettings()
    // Some wait, so that those are cancelled too.
    settings.slots = 24
    let workers = [try await stage.startWorker(settings), try await stage.startWorker(settings)]
    let users = try stage.users()
    users.beginReading()
    let count = stage.parameters.times.map { $0 * 100 } ?? 2_000
    var cancels: [Task<Void, any Error>] = []
    for _ in 0..<count {
      let delay = stage.random.below(1_200)
      cancels.append(
        IO.task { @IO in
          let id = await users.askOnce()
          await EventLoop.shared.sleep(milliseconds: delay)
          stage.evidence.note("fault cancel:\(id)")
          _ = try await stage.queue.cancel(id: id)
        })
      try await stage.pass(milliseconds: 12)
    }
    for each in cancels { try await each.value }
    let judge = try await stage.conclude(stopping: workers, .init(ends: ["done", "cancelled"]))
    var (worst, again) = (0, 0)
    for fault in judge.faults where fault.what.hasPrefix("cancel:") {
      let request = judge.requests[String(fault.what.dropFirst(7))] ?? Judge.Request()
      worst = max(worst, (request.endedAt ?? Int.max / 2) - fault.at)
      let later = judge.services[request.seed]?.beginnings.count { $0 > fault.at + 500 } ?? 0
      if request.end == "cancelled" { again += later }
    }
    let cancelled = judge.requests.values.count { $0.end == "cancelled" }
    stage.show("ended as cancelled", cancelled, "", .atLeast(Double(count) / 4))
    stage.show("ended before", judge.requests.count - cancelled)
    stage.show("from the wish to the end, worst", worst, "ms", .atMost(3_000))
    stage.show("cancelled requests that a miner got later", again, "", .exactly(0))
  }
}
