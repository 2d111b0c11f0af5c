import Common

/// A queue of its own for one measurement, with a task that anything may be asked of.
@IO
struct QueueYard {
  static let task = "bench"
  /// 300 bytes, as a user's request has them.
  static let payload: [UInt8] = {
    let start = #"{"messages":[{"role":"user","content":""#
    let end = #""}]}"#
    let text = String(repeating: "word ", count: (300 - start.utf8.count - end.utf8.count) / 5 + 1)
    return Array((start + text.prefix(300 - start.utf8.count - end.utf8.count) + end).utf8)
  }()

  private static var number = 0

  let lab: Lab
  let namespace: String
  let queue: JobQueue

  init(_ lab: Lab) async throws {
    QueueYard.number += 1
    self.lab = lab
    namespace = "queue-\(QueueYard.number)"
    queue = JobQueue(redis: lab.redis, keys: Keys(namespace: namespace))
    _ = try await lab.redis.send("HSET", queue.keys.fixed(.tasks), QueueYard.task, #"{"shape":"chat"}"#)
    try await queue.publish(DoorLimits(waitingMax: 10_000_000, payloadBytesMax: 1 << 20))
    _ = try await FunctionLibrary.install(on: lab.redis)
  }

  /// Puts a user's request into the queue, as gateways do.
  func submit(_ id: String) async throws {
    let answer = try await Door.submit(queue, id: id, task: QueueYard.task, payload: QueueYard.payload)
    guard answer == "created" else { throw BenchFailure("a job was not taken: \(answer)") }
  }

  /// Puts users' requests into the queue, 200 submits under way at a time.
  func submit(_ count: Int, prefix: String) async throws {
    var next = 0
    let loops = (0..<200).map { _ in
      IO.task { @IO in
        while next < count {
          next += 1
          try await submit("\(prefix)-\(next)")
        }
      }
    }
    for loop in loops { try await loop.value }
  }

  /// Opens a period that lasts an hour; its queries go to one miner that nobody asks.
  func openPeriod(planned: Int) async throws -> PeriodID {
    let now = try await queue.nowMilliseconds() / 1000 * 1000
    let id = PeriodID(startSeconds: now / 1000)
    guard try await queue.lead(role: "producer", token: "bench", lifeMilliseconds: 600_000) else {
      throw BenchFailure("somebody else plans")
    }
    let snapshot = PeriodSnapshot(
      id: id, startMilliseconds: now, endMilliseconds: now + 3_600_000, profile: "vision",
      validatorHotkey: "validator", tasks: [], miners: [], capacities: [], testVolumes: [], counts: [],
      configDigest: "bench")
    _ = try await queue.openPeriod(
      leader: "bench", snapshot: snapshot, encoded: Array("{}".utf8), seed: 1, pacePerSecond: 1e6, burst: 1e6)
    return id
  }

  /// Schedules queries, 100 in a call, `width` calls one after the other in each pipeline.
  func schedule(_ period: PeriodID, _ dues: [Int]) async throws {
    for (chunk, first) in stride(from: 0, to: dues.count, by: 100).enumerated() {
      let last = min(first + 100, dues.count)
      let jobs = (first..<last).map { number in
        (
          dueMilliseconds: dues[number],
          id: SyntheticJob(period: period, task: QueueYard.task, miner: 0, number: number).description
        )
      }
      let result = try await queue.schedule(
        leader: "bench", period: period, chunk: chunk, isLast: last == dues.count, volumes: [], jobs: jobs)
      guard result == .next(chunk + 1) else { throw BenchFailure("the plan cannot be scheduled: \(result)") }
      try Task.checkCancellation()
    }
  }

  /// Drops all that the measurement stored.
  func end() async throws { _ = try await lab.redis.send("FLUSHALL", "SYNC") }

  /// Waits until `condition` holds.
  func wait(seconds: Int, for what: String, until condition: @IO () -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: seconds * 1000)
    while !condition() {
      try Task.checkCancellation()
      guard Monotonic.now() < limit else { throw BenchFailure("waited \(seconds) s in vain for \(what)") }
      await EventLoop.shared.sleep(milliseconds: 10)
    }
  }

  /// Answers that Redis wrote to its clients so far: no client can have read more often.
  func writes() async throws -> Double {
    let info = try await lab.redis.send("INFO", "stats").text ?? ""
    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("total_writes_processed:") }
    return line.flatMap { Double($0.dropFirst("total_writes_processed:".count)) } ?? 0
  }
}
