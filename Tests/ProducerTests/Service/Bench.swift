import Common
import Foundation
import TestSupport

@testable import Producer

/// One queue with a clock that the test sets, a roster file, and any number of producers.
@IO
final class Bench {
  let queue: JobQueue
  /// The same queue for producers, under their own role.
  private let producers: JobQueue
  let rosterPath: String
  private(set) var asked = 0
  /// What each miner claims for every task; nil for no answer.
  var claim: Double? = 1_000

  private init(_ queue: JobQueue, _ producers: JobQueue, rosterPath: String) {
    self.queue = queue
    self.producers = producers
    self.rosterPath = rosterPath
  }

  /// When a bench's clock starts, Unix ms.
  static let start = 1_700_000_000_500

  static func with(miners: Int = 6, _ body: @IO (Bench) async throws -> Void) async throws {
    try await Fixture.withFile(Fixture.rosterText(Fixture.miners(miners))) { path in
      try await TestRedis.withQueue(clock: .testKey) { queue in
        try await TestRedis.withClient(as: .producer) { client in
          let producers = JobQueue(redis: client, keys: queue.keys, clock: .testKey)
          let bench = Bench(queue, producers, rosterPath: path)
          try await bench.setClock(start)
          try await body(bench)
        }
      }
    }
  }

  func setClock(_ milliseconds: Int) async throws { try await TestRedis.setClock(queue, milliseconds) }

  func writeRoster(_ miners: [MinerRecord]) throws {
    try Data(Fixture.rosterText(miners).utf8).write(to: URL(fileURLWithPath: rosterPath), options: .atomic)
  }

  /// A producer; all of a bench share one connection.
  func producer(
    periodSeconds: Int = 600, periodsMax: Int? = nil, config: SubnetConfig? = nil, log: Log = Fixture.quiet
  ) throws -> ProducerService {
    ProducerService(
      queue: producers, roster: RosterSource(.file(path: rosterPath), log: log),
      config: ConfigSource(try config ?? Fixture.config(), log: log),
      options: .init(periodSeconds: periodSeconds, periodsMax: periodsMax), log: log
    ) { [weak self] miners, tasks, _ in
      self?.asked += 1
      let claims = self?.claim.map { Array(repeating: $0, count: tasks.count) }
      return .init(claims: Array(repeating: claims, count: miners.count))
    }
  }

  /// The only open period, with the plan that its stored snapshot and seed give.
  func onlyPeriod() async throws -> (id: PeriodID, snapshot: PeriodSnapshot, plan: Plan) {
    let open = try await queue.openPeriods()
    guard open.count == 1, let stored = try await queue.storedPlan(open[0]) else {
      throw NotOne(count: open.count)
    }
    let snapshot = try JSONDecoder().decode(PeriodSnapshot.self, from: Data(stored.snapshot))
    return (open[0], snapshot, try Planner.plan(snapshot, seed: stored.seed))
  }

  struct NotOne: Error { var count: Int }

  /// Everything that waits, with its due time.
  func due() async throws -> [String: Int] {
    let reply = try await queue.redis.send("ZRANGE", queue.keys.fixed(.due), "0", "-1", "WITHSCORES")
    return (reply.fields ?? [:]).compactMapValues { Int($0) }
  }

  /// What a plan would put into the queue.
  func expected(_ plan: Plan) -> [String: Int] {
    let jobs = (0..<plan.chunkCount).flatMap { plan.chunk($0).jobs }
    return Dictionary(uniqueKeysWithValues: jobs.map { ($0.id, $0.dueMilliseconds) })
  }

  /// The types of the ledger's entries, in order.
  func ledger() async throws -> [String] {
    let reply = try await queue.redis.send("XRANGE", queue.keys.fixed(.ledger), "-", "+")
    return (reply.elements ?? []).compactMap { $0.elements?.last?.fields?["type"] }
  }

  /// Ends the role's lease, as if its time had run out unnoticed.
  func endLease() async throws { _ = try await queue.redis.send("DEL", queue.keys.leader("producer")) }
}
