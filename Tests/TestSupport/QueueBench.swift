import Common
import Foundation
import Testing

/// A queue with tasks and a clock of its own, the usual calls in short, and a check of all invariants at the
/// end.
@IO
public final class QueueBench {
  /// The queue.
  public let queue: JobQueue
  /// The clock that the scripts read, Unix ms.
  public private(set) var now = 1_700_000_000_000
  private var requests = 0

  /// Wraps a queue whose scripts read the test clock.
  public init(_ queue: JobQueue) { self.queue = queue }

  /// Runs `body`, then checks the invariants.
  public static func run(_ body: @IO (QueueBench) async throws -> Void) async throws {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      let bench = QueueBench(queue)
      try await bench.pass(0)
      try await bench.send("HSET", .tasks, "chat", "{}", "image", "{}")
      try await body(bench)
      let report = try await Fsck(queue).run()
      #expect(report.isClean, "\(report.lines.joined(separator: "\n"))")
    }
  }

  /// Lets time pass.
  public func pass(_ milliseconds: Int) async throws {
    now += milliseconds
    try await TestRedis.setClock(queue, now)
  }

  /// Sends a command on a fixed key.
  @discardableResult
  public func send(_ verb: String, _ key: Keys.Fixed, _ words: String...) async throws -> RedisReply {
    try await queue.redis.send(RedisCommand(words: [verb, queue.keys.fixed(key)] + words))
  }

  /// The score of a lane's marker; nil without one.
  public func marker(_ lane: Keys.Fixed) async throws -> Int? {
    try await send("ZRANGE", lane, "0", "0", "WITHSCORES").elements?.last?.int
  }

  /// Takes a marker as an idle worker would.
  public func takeMarker(_ lane: Keys.Fixed) async throws { try await send("ZPOPMIN", lane) }

  /// Submits organics of the task `chat`.
  public func submit(_ ids: String..., allowed: Int = 0) async throws {
    for id in ids {
      let result = try await queue.submit(
        id: id, task: "chat", payload: Array("{}".utf8), allowedMilliseconds: allowed)
      #expect(result == .created)
    }
  }

  /// Claims with a fresh request, or repeats one, `organics` jobs in all.
  public func claim(
    _ worker: String = "w", request: Int? = nil, organics: Int = 100, synthetics: Int = 100
  ) async throws -> ClaimResult {
    requests += 1
    let number = request ?? requests
    return try await queue.claim(
      worker: worker, request: number, nonce: "n\(number)", organicMax: organics,
      syntheticMax: synthetics, organicLeaseMilliseconds: 6_000, syntheticLeaseMilliseconds: 15_000)
  }

  /// Claims an answer to check, with a fresh nonce.
  public func claimCheck(
    _ worker: String = "w", server: String = "", tasks: [String] = ["chat"]
  ) async throws -> CheckGrant? {
    requests += 1
    return try await queue.claimCheck(
      worker: worker, nonce: "k\(requests)", leaseMilliseconds: 15_000, server: server, tasks: tasks)
  }

  /// A recovery pass, whenever the last one was.
  @discardableResult
  public func recover() async throws -> JobQueue.Recovery? {
    try await send("DEL", .recovering)
    return try await queue.recover()
  }

  /// Ends a worker's heartbeat.
  public func kill(_ worker: String = "w") async throws {
    _ = try await queue.redis.send("DEL", queue.keys.worker(worker))
  }

  /// Opens a period that starts now and schedules all its queries, evenly spread.
  public func plan(
    counts: [[Int]], lengthMilliseconds: Int = 600_000, rate: Double = 1_000, burst: Double = 1_000,
    volumes: [(String, Int)] = []
  ) async throws -> PeriodSnapshot {
    let snapshot = try PeriodSnapshot.make(
      startMilliseconds: now, lengthMilliseconds: lengthMilliseconds, counts: counts)
    #expect(try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000))
    _ = try await queue.openPeriod(
      leader: "p", snapshot: snapshot, encoded: Array(JSONEncoder().encode(snapshot)), seed: 1,
      pacePerSecond: rate, burst: burst)
    var queries: [(dueMilliseconds: Int, id: String)] = []
    for (task, miners) in zip(snapshot.tasks, counts) {
      for (miner, count) in miners.enumerated() {
        for number in 0..<count {
          let job = SyntheticJob(period: snapshot.id, task: task.name, miner: miner, number: number)
          queries.append((now + number * lengthMilliseconds / count, job.description))
        }
      }
    }
    queries.sort { ($0.dueMilliseconds, $0.id) < ($1.dueMilliseconds, $1.id) }
    for (chunk, start) in stride(from: 0, to: queries.count, by: 100).enumerated() {
      _ = try await queue.schedule(
        leader: "p", period: snapshot.id, chunk: chunk, isLast: start + 100 >= queries.count,
        volumes: chunk == 0 ? volumes : [],
        jobs: Array(queries[start..<min(start + 100, queries.count)]))
    }
    return snapshot
  }

  /// The end of a granted job, as a worker would write it.
  public func end(
    _ grant: Grant, _ outcome: Outcome = .ok, period: PeriodID? = nil, work: Int = 1_000,
    sample: Sample? = nil
  ) -> Settlement {
    let planned = SyntheticJob(id: grant.id)
    let state: Settlement.State = outcome == .ok ? .done : .failed
    let entry = AttemptEntry(
      job: grant.id, kind: grant.kind,
      period: planned?.period ?? period ?? PeriodID(startSeconds: now / 1000), task: grant.task,
      hotkey: "hk\(planned?.miner ?? 0)", outcome: outcome, status: 200, workMilli: work, units: 1,
      firstContentMilliseconds: 5, totalMilliseconds: 9, settles: planned != nil)
    return Settlement(
      id: grant.id, token: grant.token, state: state,
      attempts: [SettledAttempt(entry: entry, miner: planned?.miner ?? 0)], sample: sample,
      last: planned == nil ? [("end", state.rawValue)] : [])
  }

  /// All that the ledger holds.
  public func ledger() async throws -> [LedgerEntry] {
    try await queue.readLedger(after: "", limit: 5_000).compactMap(\.entry)
  }

  /// A field of a job's record.
  public func field(_ id: String, _ name: String) async throws -> String? {
    try await queue.redis.send("HGET", queue.keys.job(id), name).text
  }

  /// The entries of a reply, as their fields.
  public func reply(_ id: String) async throws -> [[String: String]] {
    let entries = try await queue.redis.send("XRANGE", queue.keys.reply(id), "-", "+").elements ?? []
    return entries.compactMap { $0.elements?.last?.fields }
  }
}

extension JobQueue {
  /// Appends pieces of one reply that follow each other, the first one at `start`, each looked at.
  public func append(
    _ id: String, _ token: String, at start: ReplyPosition = ReplyPosition(), _ pieces: [[UInt8]]
  ) async throws(RedisError) -> [Int: LeaseResult] {
    var fence = AppendFence(worker: "nobody")
    guard
      case .written(let refused) = try await append(
        ReplyPiece.following(start, id, token, pieces), fence.open())
    else { throw RedisError(.unexpectedReply, "append refused to look") }
    return refused
  }
}

extension ReplyPiece {
  /// Pieces that follow each other, the first one at `start`.
  public static func following(
    _ start: ReplyPosition, _ id: String, _ token: String, isTrusted: Bool = false, _ pieces: [[UInt8]]
  ) -> [ReplyPiece] {
    var position = start
    return pieces.map { data in
      position = position.after(bytes: data.count, tokens: 0)
      return ReplyPiece(id: id, token: token, isTrusted: isTrusted, end: position, data: data)
    }
  }
}
