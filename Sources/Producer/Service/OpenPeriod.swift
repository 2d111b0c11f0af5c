import Common
import Foundation

/// What the producer knows about a period that is not closed.
struct OpenPeriod {
  /// What it was planned from; nil when what Redis holds cannot be read.
  var snapshot: PeriodSnapshot?
  /// The seed of its plan.
  var seed: UInt64
  /// The plan, while it is scheduled.
  var plan: Plan?
  /// The roster's revision that its miners were last compared with.
  var rosterRevision = -1
  /// The miners that were marked as gone.
  var gone: Set<Int> = []

  /// Longest lease of a synthetic query, in milliseconds.
  static let syntheticLeaseMilliseconds = 15_000

  /// How long after a period's end its last answers are waited for: the longest time limit of its tasks
  /// and a lease.
  var graceMilliseconds: Int {
    let longest = snapshot?.tasks.map(\.timeouts.totalMilliseconds).max() ?? 600_000
    return longest + Self.syntheticLeaseMilliseconds
  }
}

/// The parts of a period's planning that take longer than the loop can wait.
enum PlanningWork {
  static func snapshot(
    _ input: Planner.Input
  ) async throws(PlanError) -> (snapshot: PeriodSnapshot, encoded: [UInt8]) {
    try await OffLoop.run { () throws(PlanError) in
      let snapshot = try Planner.snapshot(input)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      guard let data = try? encoder.encode(snapshot) else {
        // Every number in it was checked to be finite.
        throw .badSnapshot("it cannot be written")
      }
      return (snapshot, [UInt8](data))
    }
  }

  /// nil when the bytes are no snapshot.
  static func decoded(_ bytes: [UInt8]) async -> PeriodSnapshot? {
    await OffLoop.run { try? JSONDecoder().decode(PeriodSnapshot.self, from: Data(bytes)) }
  }

  static func plan(_ snapshot: PeriodSnapshot, seed: UInt64) async throws(PlanError) -> Plan {
    try await OffLoop.run { () throws(PlanError) in try Planner.plan(snapshot, seed: seed) }
  }
}
