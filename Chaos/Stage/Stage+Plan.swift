import Common
import Foundation

extension Stage {
  /// What is planned and for whom.
  struct Plan {
    /// Addresses of the miners that are tested; users get them too, unless there are others.
    var miners: [String]
    /// Addresses of miners for users alone.
    var others: [String] = []
    /// Planned queries, dealt out in turn.
    var queries = 0
    /// When query `number` is due, in ms from now.
    var dueMilliseconds: @Sendable (_ number: Int) -> Int = { _ in 0 }
    var periodSeconds = 3_600
    /// Queries that may be overdue and start at once.
    var pacePerSecond = 1e6
    var burst = 1e6
    /// Whether each query goes into the evidence.
    var isRecorded = true
    var totalMilliseconds = 60_000
    var stallMilliseconds = 15_000
  }

  /// The task that is planned, and the one that users ask for.
  nonisolated static let task = "chat"

  /// Opens a period and schedules its queries, as a producer does.
  func open(_ plan: Plan) async throws {
    let now = try await queue.nowMilliseconds()
    let start = now / 1000 * 1000
    let addresses = plan.miners + plan.others
    let per = addresses.indices.map {
      guard $0 < plan.miners.count else { return 0 }
      return plan.queries / plan.miners.count + ($0 < plan.queries % plan.miners.count ? 1 : 0)
    }
    let volumes = [addresses.map { _ in 1e9 }]
    let capacities = [addresses.indices.map { plan.others.isEmpty || $0 >= plan.miners.count ? 1e9 : 0 }]
    let snapshot = PeriodSnapshot(
      id: PeriodID(startSeconds: start / 1000), startMilliseconds: start,
      endMilliseconds: start + plan.periodSeconds * 1000, profile: "vision", validatorHotkey: "validator",
      tasks: [try Stage.task(plan)],
      miners: addresses.enumerated().map { MinerRecord(hotkey: "hk\($0)", uid: $0, address: $1) },
      capacities: capacities, testVolumes: volumes, counts: [per], configDigest: "chaos")
    self.snapshot = snapshot
    try await redis("HSET", queue.keys.fixed(.tasks), Stage.task, #"{"shape":"chat"}"#)
    guard try await queue.lead(role: "producer", token: "chaos", lifeMilliseconds: 600_000) else {
      throw ChaosFailure("somebody else plans")
    }
    _ = try await queue.openPeriod(
      leader: "chaos", snapshot: snapshot, encoded: Array(try JSONEncoder().encode(snapshot)),
      seed: periodSeed, pacePerSecond: plan.pacePerSecond, burst: plan.burst)
    if plan.queries > 0 { try await schedule(plan, snapshot, from: now) }
  }

  private func schedule(_ plan: Plan, _ snapshot: PeriodSnapshot, from now: Int) async throws {
    var chunk = 0
    var jobs: [(dueMilliseconds: Int, id: String)] = []
    for number in 0..<plan.queries {
      let job = SyntheticJob(
        period: snapshot.id, task: Stage.task, miner: number % plan.miners.count,
        number: number / plan.miners.count)
      jobs.append((now + plan.dueMilliseconds(number), job.description))
      guard jobs.count == 100 || number == plan.queries - 1 else { continue }
      if plan.isRecorded { evidence.note(jobs.map { "plan \($0.id) \($0.dueMilliseconds)" }) }
      let result = try await queue.schedule(
        leader: "chaos", period: snapshot.id, chunk: chunk, isLast: number == plan.queries - 1, volumes: [],
        jobs: jobs.sorted { $0.dueMilliseconds < $1.dueMilliseconds })
      guard result == .next(chunk + 1) else { throw ChaosFailure("the plan cannot be scheduled: \(result)") }
      chunk += 1
      jobs = []
      try Task.checkCancellation()
    }
  }

  private nonisolated static func task(_ plan: Plan) throws -> TaskConfig {
    let text = """
      {"name": "\(task)", "kind": "text", "shape": "chat", "stream": true, "max_tokens": [50, 100],
       "weight": 1, "max_capacity": 1000000, "volume_per_request": 10, "path": "/chat", "model": "chaos",
       "timeouts": {"connect_ms": 5000, "first_content_ms": 15000, "stall_ms": \(plan.stallMilliseconds),
       "total_ms": \(plan.totalMilliseconds)}}
      """
    return try JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8))
  }

  /// Waits until nothing runs.
  func drainRunning(seconds: Int) async throws {
    try await wait(seconds: seconds, for: "running jobs to end") {
      try await self.queue.redis.send("ZCARD", self.queue.keys.fixed(.lease)).int == 0
    }
  }

  /// Waits until nothing is due, running or waiting.
  func drain(seconds: Int = 90) async throws {
    try await wait(seconds: seconds, for: "the queue to drain") {
      let now = String(try await self.queue.nowMilliseconds())
      let counts = [
        try await self.queue.redis.send("ZCARD", self.queue.keys.fixed(.organic)),
        try await self.queue.redis.send("ZCARD", self.queue.keys.fixed(.lease)),
        try await self.queue.redis.send("ZCOUNT", self.queue.keys.fixed(.due), "-inf", now),
      ]
      return counts.allSatisfy { $0.int == 0 }
    }
  }
}
