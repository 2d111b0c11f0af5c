@testable import Common
import Testing

@testable import Aggregator

@Suite("Earned capacity in the fold")
struct EarnedFoldTests {
  private static func snapshot(_ start: Int, isEarned: Bool? = true) -> PeriodSnapshot {
    var snapshot = PeriodSnapshot.make(start, capacity: { _, _ in 1200 })
    snapshot.earnedCapacity = isEarned
    return snapshot
  }

  /// A period in which `m0` does all, `m1` half, and `m2` nothing of what it is asked.
  private static func period(_ script: inout LedgerScript, _ start: Int, isEarned: Bool? = true) {
    script.append(.opened(snapshot(start, isEarned: isEarned)))
    for (miner, good) in [4, 2, 0].enumerated() {
      for number in 0..<4 {
        let outcome: Outcome = number < good ? .ok : .rateLimited
        let attempt = AttemptEntry.make(start, miner: miner, number: number, outcome: outcome)
        script.append(.attempt(attempt))
        if number < good { script.judge(attempt, 1) }
      }
    }
    script.append(.closed(PeriodID(startSeconds: start)))
  }

  @Test("what was shown is what counts, and stands in the state, the result and the published volumes")
  func shown() async throws {
    var script = LedgerScript()
    Self.period(&script, 3600)
    var state = FoldState()
    let result = try #require(script.fold(into: &state).first)
    let credits = try ["m0", "m1", "m2"].map { try #require(result.miner($0, "chat")).factors.capacity }
    #expect(credits == [1200, 300, 0])
    #expect(state.proven == ["chat": ["m0": 1_200_000, "m1": 300_000]])
    #expect(result.miner("m1", "chat")?.earned?.claim == 1200)
    #expect(result.weights?["m2"] == nil)
    let keeper = FoldKeeper()
    let records = script.entries.map { LedgerRecord(id: $0.id, entry: $0.entry) }
    let closed = try await keeper.fold(records[...]).closed
    let published = try #require(closed).proven
    #expect(ProvenVolumes(decoding: published)?.proven == state.proven)
  }

  @Test("a period without it counts claims, and leaves nothing proven", arguments: [nil, false])
  func off(isEarned: Bool?) throws {
    var script = LedgerScript()
    Self.period(&script, 3600)
    Self.period(&script, 7200, isEarned: isEarned)
    var state = FoldState()
    let result = try #require(script.fold(into: &state).last)
    #expect(result.miner("m1", "chat")?.factors.capacity == 1200)
    #expect(result.miner("m1", "chat")?.earned == nil)
    #expect(state.proven.isEmpty)
  }

  @Test("who left is forgotten bit by bit, and who comes back begins with what is left")
  func leaving() throws {
    var script = LedgerScript()
    Self.period(&script, 3600)
    var state = FoldState()
    script.fold(into: &state)
    var later = LedgerScript(start: 7200)
    for start in [7200, 10_800] {
      var snapshot = PeriodSnapshot.make(start, tasks: [.make("chat", weight: 1)], miners: 0)
      snapshot.earnedCapacity = true
      later.append(.opened(snapshot))
      later.append(.closed(PeriodID(startSeconds: start)))
    }
    later.fold(into: &state)
    #expect(state.proven["chat"]?["m0"] == 1_200_000 * 49 / 64)
    for start in stride(from: 14_400, to: 14_400 + 3600 * 200, by: 3600) {
      var more = LedgerScript(start: start)
      var snapshot = PeriodSnapshot.make(start, miners: 0)
      snapshot.earnedCapacity = true
      more.append(.opened(snapshot))
      more.append(.closed(PeriodID(startSeconds: start)))
      more.fold(into: &state)
    }
    #expect(state.proven.isEmpty)
  }
}
