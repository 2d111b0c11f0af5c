import Foundation
import TestSupport

@testable import Common

extension QueueModelRun {
  private static let chunkMax = 3
  private static let pacePerSecond = 0.02
  private static let burst = 2.0

  /// The plan of a period: two tasks, two miners, seven queries spread over the period.
  func plan(_ number: Int) throws -> (snapshot: PeriodSnapshot, queries: [(dueMilliseconds: Int, id: String)])
  {
    let start = period(number) * 1000
    let snapshot = try PeriodSnapshot.make(
      startMilliseconds: start, lengthMilliseconds: QueueModelRun.periodMilliseconds,
      counts: [[3, 2], [1, 1]])
    var queries: [(dueMilliseconds: Int, id: String)] = []
    for (task, counts) in snapshot.counts.enumerated() {
      for (miner, count) in counts.enumerated() {
        for index in 0..<count {
          let job = SyntheticJob(
            period: snapshot.id, task: snapshot.tasks[task].name, miner: miner, number: index)
          let due = start + (index * 2 + miner + task * 3) * 70_000
          queries.append((due, job.description))
        }
      }
    }
    return (snapshot, queries.sorted { ($0.dueMilliseconds, $0.id) < ($1.dueMilliseconds, $1.id) })
  }

  func performProducer(_ operation: QueueOperation) async throws {
    switch operation {
    case .lead(let number, let isKept):
      let held = try await producers.lead(
        role: "producer", token: leader(number), lifeMilliseconds: isKept ? 600_000 : 0)
      try expect(held, model.lead(leader(number), isKept: isKept))
    case .open(let number, let who):
      let plan = try plan(number).snapshot
      let isRefused =
        model.isShort && model.leader == leader(who) && model.periods[plan.id.startSeconds] == nil
      try await refused(isRefused) {
        let stored = try await self.producers.openPeriod(
          leader: self.leader(who), snapshot: plan, encoded: Array(JSONEncoder().encode(plan)),
          seed: UInt64(who), pacePerSecond: QueueModelRun.pacePerSecond, burst: QueueModelRun.burst)
        try self.expect(
          stored?.isNew,
          self.model.open(
            self.leader(who), plan.id.startSeconds, end: plan.endMilliseconds, planned: plan.plannedCount,
            rate: QueueModelRun.pacePerSecond, burst: QueueModelRun.burst))
      }
    case .schedule(let number, let who, let ahead): try await schedule(number, who, ahead)
    case .sweep(let number, let who, let limit):
      let count = try await producers.sweep(
        leader: leader(who), period: PeriodID(startSeconds: period(number)), limit: limit)
      try expect(count, model.sweep(leader(who), period(number), limit: limit))
    case .close(let number, let who, let isForced):
      let result = try await producers.closePeriod(
        leader: leader(who), period: PeriodID(startSeconds: period(number)), isForced: isForced,
        keepSeconds: 600)
      try expect(result, model.close(leader(who), period(number), isForced: isForced))
    case .deregister(let number, let who, let miner):
      let count = try await producers.deregister(
        leader: leader(who), period: PeriodID(startSeconds: period(number)), miners: [miner])
      try expect(count, model.deregister(leader(who), period(number), miners: [miner]))
    default: break
    }
  }

  private func schedule(_ number: Int, _ who: Int, _ ahead: Int) async throws {
    let chunk = max(0, (model.periods[period(number)]?.next ?? 0) + ahead)
    let queries = try plan(number).queries
    let first = min(chunk * QueueModelRun.chunkMax, queries.count)
    let part = Array(queries[first..<min(first + QueueModelRun.chunkMax, queries.count)])
    let isLast = (chunk + 1) * QueueModelRun.chunkMax >= queries.count
    let volumes = chunk == 0 ? [("test:chat:0", 4_000), ("test:chat:1", 4_000), ("test:image:0", 1_000)] : []
    let record = model.periods[period(number)]
    let isTaken = model.leader == leader(who) && record?.next == chunk && record?.state == "planning"
    try await refused(model.isShort && isTaken) {
      let result = try await self.producers.schedule(
        leader: self.leader(who), period: PeriodID(startSeconds: self.period(number)), chunk: chunk,
        isLast: isLast, volumes: volumes, jobs: part)
      try self.expect(
        result,
        self.model.schedule(
          self.leader(who), self.period(number), chunk: chunk, isLast: isLast, volumes: volumes, jobs: part))
    }
  }

  /// Runs `body`, which a Redis that is short of memory must refuse if `isRefused`.
  private func refused(_ isRefused: Bool, _ body: @IO () async throws -> Void) async throws {
    guard isRefused else { return try await body() }
    do {
      try await body()
    } catch let error as RedisError where error.code == .outOfMemory {
      return
    }
    throw Mismatch(description: "was taken, though memory is short")
  }
}
