import Common
import Foundation
import TestSupport
import Testing

@testable import Aggregator

/// A pipeline in small: periods are planned, worked, checked and closed by the real scripts, at times that
/// the test sets.
@IO
struct Pipeline {
  static let hour = 3600
  let queue: JobQueue
  var miners = 3
  private var claims = 0

  init(_ queue: JobQueue) { self.queue = queue }

  /// Runs `body` with a pipeline in a namespace of its own.
  static func with<T>(_ body: @IO (inout Pipeline) async throws -> T) async throws -> T {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      var pipeline = Pipeline(queue)
      return try await body(&pipeline)
    }
  }

  /// One whole period: every planned query is answered, `ok` or with `outcome`, and every good answer judged.
  mutating func runPeriod(
    _ number: Int, outcome: (_ miner: Int) -> Outcome = { _ in .ok },
    score: (_ miner: Int) -> Double = { _ in 1 }
  ) async throws {
    try await open(number)
    try await work(number, outcome: outcome)
    try await check(score: score)
    try await close(number)
  }

  private func snapshot(_ number: Int) -> PeriodSnapshot {
    .make(number * Self.hour, miners: miners, capacity: { _, miner in Double(10_000 * (miner + 1)) })
  }

  func open(_ number: Int) async throws {
    let snapshot = snapshot(number)
    try await TestRedis.setClock(queue, snapshot.startMilliseconds)
    #expect(try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 600_000))
    let plan = try await queue.openPeriod(
      leader: "p", snapshot: snapshot, encoded: Array(try JSONEncoder().encode(snapshot)), seed: 1,
      pacePerSecond: 1000, burst: 1000)
    #expect(plan?.isNew == true)
    var jobs: [(dueMilliseconds: Int, id: String)] = []
    for (task, row) in zip(snapshot.tasks, snapshot.counts) {
      for (miner, count) in row.enumerated() {
        for number in 0..<count {
          let job = SyntheticJob(period: snapshot.id, task: task.name, miner: miner, number: number)
          jobs.append((snapshot.startMilliseconds, job.description))
        }
      }
    }
    _ = try await queue.schedule(
      leader: "p", period: snapshot.id, chunk: 0, isLast: true, volumes: [], jobs: jobs)
  }

  mutating func work(_ number: Int, outcome: (_ miner: Int) -> Outcome = { _ in .ok }) async throws {
    claims += 1
    let claim = try await queue.claim(
      worker: "w", request: claims, nonce: "n\(claims)", organicMax: 100, syntheticMax: 100,
      organicLeaseMilliseconds: 6000, syntheticLeaseMilliseconds: 15_000)
    for grant in claim.grants {
      let job = try #require(SyntheticJob(id: grant.id))
      let outcome = outcome(job.miner)
      let entry = AttemptEntry.make(
        number * Self.hour, task: job.task, miner: job.miner, number: job.number, outcome: outcome,
        workMilli: outcome == .ok ? 300_000 + 1000 * job.number : 0)
      let sample = Sample(waitingMax: 1000, bytesMax: 1 << 20, answer: [1, 2, 3])
      let settled = try await queue.settle([
        Settlement(
          id: grant.id, token: grant.token, state: outcome == .ok ? .done : .failed,
          attempts: [SettledAttempt(entry: entry, miner: job.miner)],
          sample: outcome == .ok ? sample : nil)
      ])
      #expect(settled == [.ok])
    }
  }

  mutating func check(score: (_ miner: Int) -> Double = { _ in 1 }) async throws {
    for number in 0... {
      let grant = try await queue.claimCheck(
        worker: "w", nonce: "c\(claims)-\(number)", leaseMilliseconds: 10_000, tasks: ["chat", "code"])
      guard let grant else { return }
      let isSettled = try await queue.settleCheck(
        id: grant.id, token: grant.token, state: .judged, score: score(grant.miner))
      #expect(isSettled)
    }
  }

  func close(_ number: Int) async throws {
    try await TestRedis.setClock(queue, (number + 1) * Self.hour * 1000)
    let result = try await queue.closePeriod(
      leader: "p", period: PeriodID(startSeconds: number * Self.hour), isForced: false, keepSeconds: 100)
    #expect(result == .closed)
  }

  /// What folding the whole ledger at once gives, as JSON, oldest first.
  func expectedResults() async throws -> [String] {
    var state = FoldState()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try await queue.readLedger(after: "", limit: 100_000).compactMap { record in
      record.entry.flatMap { state.apply($0, id: record.id) }
    }.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
  }

  /// What is kept in Redis, oldest first.
  func results() async throws -> [String] {
    let reply = try await queue.redis.send("LRANGE", queue.keys.fixed(.weightsHistory), "0", "-1")
    return (reply.elements ?? []).compactMap(\.text).reversed()
  }

  func hash(_ key: Keys.Fixed) async throws -> [String: String] {
    try await queue.redis.send("HGETALL", queue.keys.fixed(key)).fields ?? [:]
  }

  /// Another aggregator's role ends, as after its time ran out.
  func endRole() async throws {
    _ = try await queue.redis.send("DEL", queue.keys.leader("aggregator"))
  }

  // MARK: aggregators

  /// Options for tests: saves at each page and waits for nothing long.
  static var options: AggregatorOptions {
    var options = AggregatorOptions()
    options.saveMilliseconds = 0
    options.idleMilliseconds = (first: 5, longest: 20)
    options.renewMilliseconds = 20
    options.firstRetryMilliseconds = 1
    options.pageMax = 7
    return options
  }

  func service(_ options: AggregatorOptions = Pipeline.options) throws -> AggregatorService {
    AggregatorService(
      address: try TestRedis.address(as: .aggregator), keys: queue.keys, options: options, log: .silent,
      clock: .testKey)
  }

  /// Runs an aggregator until `count` results are published.
  func aggregate(results count: Int, _ options: AggregatorOptions = Pipeline.options) async throws {
    let service = try service(options)
    let stopping = Signal()
    service.onStep = { _ in
      if try await self.results().count >= count { stopping.fire() }
    }
    try await service.run(until: stopping)
  }
}

extension Log {
  /// A log that nobody reads.
  static var silent: Log { Log(now: WallClock.nowMilliseconds) { _ in } }
}

/// A folder that is removed at the end.
@IO func withFolder<T>(_ body: @IO (String) async throws -> T) async throws -> T {
  let folder = NSTemporaryDirectory() + "/vision-" + UUID().uuidString
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try await body(folder)
}
