import Foundation

/// Makes a period's record agree with its plan, the ledger, and the queries that wait and run.
@IO
struct PeriodRepair {
  /// Queries that are put back in one go.
  private static let requeuedMax = 10_000
  private static let batch = 100

  private let queue: JobQueue
  private let period: PeriodID

  init(_ queue: JobQueue, _ period: PeriodID) {
    self.queue = queue
    self.period = period
  }

  /// Returns what was done, a line for each.
  func run() async throws(RedisError) -> [String] {
    // The ledger first: what stands is noted in its tallies.
    let pass = FsckPass(queue)
    try await pass.walkLedger()
    try await pass.walkPlaces()
    let tally = pass.tallies[period]
    guard let record = try await queue.periodRecord(period) else { return try await restore(tally) }
    var lines: [String] = []
    let isClosed = record.state == "closed" || tally?.isClosed == true
    if isClosed, record.state != "closed" {
      _ = try await queue.mend("period", [period.description, "2", "state", "closed", "0"])
      lines.append("is closed, as the ledger says")
    } else if isClosed, let tally, !tally.isClosed {
      _ = try await queue.mend("closed", [period.description])
      lines.append("the ledger says that it is closed")
    }
    if try await queue.openPeriods().contains(period) == isClosed {
      _ = try await queue.mend("period", [period.description, "0", isClosed ? "0" : "1"])
      lines.append(isClosed ? "is not among the open any more" : "is among the open again")
    }
    if let tally { lines += try await count(tally, record) }
    let planned = try await planned(tally) ?? record.planned
    lines += try await move("planned", record.planned, planned)
    if record.state == "open", !isClosed, let tally { lines += try await requeue(tally) }
    if lines.isEmpty {
      let standing = record.settledCount + (pass.inFlight[period] ?? 0)
      lines += try await move("scheduled", record.scheduled, record.state == "open" ? planned : standing)
    }
    return lines.map { "period:\(period): \($0)" }
  }

  private func move(_ field: String, _ counted: Int, _ found: Int) async throws(RedisError) -> [String] {
    guard counted != found else { return [] }
    _ = try await queue.mend("count", ["period:\(period)", field, String(found - counted)])
    return ["\(field) \(counted) is \(found)"]
  }

  private func count(_ tally: FsckTally, _ record: PeriodRecord) async throws(RedisError) -> [String] {
    var lines: [String] = []
    let found = [
      ("done", tally.done), ("failed", tally.failed), ("skipped", tally.skipped), ("expired", tally.expired),
      ("dead", tally.dead),
    ]
    for (field, count) in found { lines += try await move(field, record.settled[field] ?? 0, count) }
    return lines
  }

  /// How many queries the plan has; nil when nothing tells.
  private func planned(_ tally: FsckTally?) async throws(RedisError) -> Int? {
    if let tally { return tally.snapshot.plannedCount }
    guard let stored = try await queue.storedPlan(period) else { return nil }
    return (try? JSONDecoder().decode(PeriodSnapshot.self, from: Data(stored.snapshot)))?.plannedCount
  }

  /// Queries that stand nowhere and that nothing settled are due at once; the period's pace spreads them.
  private func requeue(_ tally: FsckTally) async throws(RedisError) -> [String] {
    let missing = tally.missing(most: PeriodRepair.requeuedMax).map(\.description)
    var count = 0
    for start in stride(from: 0, to: missing.count, by: PeriodRepair.batch) {
      let part = missing[start..<min(start + PeriodRepair.batch, missing.count)]
      count += try await queue.mend("requeue", [period.description, String(part.count)] + part)
    }
    return count == 0 ? [] : ["\(count) queries are due again"]
  }

  /// The record, from what the ledger's `opened` entry says. The seed is gone; another one makes other questions.
  private func restore(_ tally: FsckTally?) async throws(RedisError) -> [String] {
    guard let tally, !tally.isClosed, let snapshot = try? JSONEncoder().encode(tally.snapshot) else {
      _ = try await queue.mend("period", [period.description, "0", "0"])
      return ["period:\(period): is forgotten: it is over, or nothing tells what it was"]
    }
    let numbers = [
      ("v", 1), ("start", tally.snapshot.startMilliseconds), ("end", tally.snapshot.endMilliseconds),
      ("planned", tally.snapshot.plannedCount), ("scheduled", tally.snapshot.plannedCount),
      ("next", tally.snapshot.plannedCount), ("done", tally.done), ("failed", tally.failed),
      ("skipped", tally.skipped), ("expired", tally.expired), ("dead", tally.dead),
    ]
    var fields = numbers.flatMap { [$0.0, String($0.1)] }
    fields += ["state", "open", "snapshot", String(decoding: snapshot, as: UTF8.self)]
    fields += ["seed", String(UInt64.random(in: 0 ... .max))]
    _ = try await queue.mend("period", [period.description, String(fields.count)] + fields + ["1"])
    return ["period:\(period): made again from the ledger"] + (try await requeue(tally))
  }
}
