import Common
import Foundation
import Testing

@testable import Aggregator

/// Properties of the fold over random ledgers. `VISION_TEST_LONG=1` tries more of them.
@Suite("Properties of the fold")
struct FoldPropertyTests {
  static let rounds = ProcessInfo.processInfo.environment["VISION_TEST_LONG"] == nil ? 60 : 2000

  /// A random ledger of several overlapping periods, with duplicates, late entries and odd figures.
  static func ledger(_ random: inout SeededRandom) -> LedgerScript {
    var script = LedgerScript()
    let profile = random.below(2) == 0 ? "vision" : "nineteen"
    let tasks = [TaskConfig.make("chat", weight: 0.6), .make("face", weight: 0.4, shape: .avatar)]
    let miners = 1 + random.below(4)
    let periods = 1 + random.below(5)
    for index in 1...periods {
      let start = index * 3600
      let capacity = Double(random.below(20_000))
      var snapshot = PeriodSnapshot.make(
        start, profile: profile, tasks: tasks, miners: miners,
        capacity: { $1 == 0 ? capacity : capacity / 3 }, count: { _, _ in 6 })
      snapshot.earnedCapacity = random.below(4) > 0
      script.append(.opened(snapshot))
      for _ in 0..<random.below(60) { append(to: &script, start, tasks, miners, &random) }
      if index > 1, random.below(4) > 0 {
        script.append(.closed(PeriodID(startSeconds: start - 3600 * random.below(2))))
      }
    }
    script.append(.closed(PeriodID(startSeconds: periods * 3600)))
    return script
  }

  private static func append(
    to script: inout LedgerScript, _ start: Int, _ tasks: [TaskConfig], _ miners: Int,
    _ random: inout SeededRandom
  ) {
    let task = tasks[random.below(tasks.count)].name
    let synthetic = random.below(3) > 0
    let attempt = AttemptEntry.make(
      start - 3600 * (random.below(8) == 0 ? 1 : 0), task: task, miner: random.below(miners + 1),
      number: random.below(7), outcome: Outcome.allCases[random.below(Outcome.allCases.count)],
      workMilli: random.below(2_000_000) - 1000, kind: synthetic ? .synthetic : .organic,
      settles: synthetic && random.below(5) > 0)
    switch random.below(10) {
    case 0:
      let job = SyntheticJob(
        period: PeriodID(startSeconds: start), task: task, miner: random.below(miners), number: 5)
      script.append(.skipped(SkipEntry(job: job, reason: .volume)))
    case 1: script.append(.dead(DeadEntry(job: attempt.job, kind: attempt.kind, reason: "crashes")))
    case 2, 3, 4:
      let scores: [Double?] = [nil, .nan, -10, 0.3, 0.9, 1, 1.5, random.uniform()]
      script.judge(attempt, scores[random.below(scores.count)])
    default: script.append(.attempt(attempt))
    }
  }

  @Test("a prefix, saved and loaded, and the rest give the same bits as the whole")
  func prefixes() throws {
    for seed in 0..<UInt64(Self.rounds) {
      var random = SeededRandom(seed: seed)
      let script = Self.ledger(&random)
      var whole = FoldState()
      let expected = script.fold(into: &whole)
      // Every cursor of some ledgers, one of the others.
      let all = 0...script.entries.count
      for cut in seed < 4 ? Array(all) : [random.below(all.count)] {
        try Self.check(script, cut: cut, expected: expected, whole: whole, seed: seed)
      }
    }
  }

  private static func check(
    _ script: LedgerScript, cut: Int, expected: [PeriodResult], whole: FoldState, seed: UInt64
  ) throws {
    var state = FoldState()
    var results = script.entries[..<cut].compactMap { state.apply($0.entry, id: $0.id) }
    let saved = try state.encoded()
    let savedAgain = try state.encoded()
    #expect(savedAgain == saved, "seed \(seed)")
    var loaded = try FoldState(decoding: saved)
    #expect(loaded == state, "seed \(seed)")
    results += script.entries[cut...].compactMap { loaded.apply($0.entry, id: $0.id) }
    #expect(results == expected, "seed \(seed), cut \(cut)")
    let (bits, expectedBits) = (try loaded.encoded(), try whole.encoded())
    #expect(bits == expectedBits, "seed \(seed), cut \(cut)")
  }

  @Test("reading entries again changes nothing")
  func again() throws {
    for seed in 0..<UInt64(Self.rounds) {
      var random = SeededRandom(seed: seed)
      let script = Self.ledger(&random)
      var state = FoldState()
      script.fold(into: &state)
      let once = try state.encoded()
      #expect(script.fold(into: &state).isEmpty, "seed \(seed)")
      let twice = try state.encoded()
      #expect(twice == once, "seed \(seed)")
      // Any part read twice on the way, as after a save whose answer was lost.
      var stumbling = FoldState()
      var place = 0
      while place < script.entries.count {
        let next = min(script.entries.count, place + 1 + random.below(20))
        for entry in script.entries[place..<next] { stumbling.apply(entry.entry, id: entry.id) }
        let part = random.below(next)..<next
        let isNothing = script.entries[part].allSatisfy { stumbling.apply($0.entry, id: $0.id) == nil }
        #expect(isNothing, "seed \(seed)")
        place = next
      }
      let parts = try stumbling.encoded()
      #expect(parts == once, "seed \(seed)")
    }
  }

  @Test("the order of a period's attempts does not change its result")
  func order() throws {
    for seed in 0..<UInt64(Self.rounds) {
      var random = SeededRandom(seed: seed)
      var attempts: [AttemptEntry] = []
      for miner in 0..<3 {
        for number in 0..<4 {
          attempts.append(
            .make(
              miner: miner, number: number,
              outcome: Outcome.allCases[random.below(Outcome.allCases.count)],
              workMilli: random.below(3_000_000)))
        }
        for number in 0..<random.below(20) {
          attempts.append(
            .make(
              miner: miner, number: number, outcome: random.below(3) == 0 ? .serverError : .ok,
              workMilli: random.below(3_000_000), kind: .organic, settles: false))
        }
      }
      func result(_ attempts: [AttemptEntry]) throws -> PeriodResult {
        var script = LedgerScript()
        script.append(.opened(.make()))
        for miner in 0..<3 { script.judge(.make(miner: miner), Double(miner + 1) / 3) }
        for attempt in attempts { script.append(.attempt(attempt)) }
        script.append(.closed(PeriodID(startSeconds: 3600)))
        return try #require(script.results.first)
      }
      let shuffled = attempts.shuffled(using: &random)
      let (first, second) = (try result(attempts), try result(shuffled))
      #expect(first == second, "seed \(seed)")
    }
  }

  @Test("every settled query stands in exactly one place of the balance")
  func balances() {
    for seed in 0..<UInt64(Self.rounds) {
      var random = SeededRandom(seed: seed)
      for result in Self.ledger(&random).results {
        #expect(result.balance.missing >= 0, "seed \(seed)")
        if let weights = result.weights {
          #expect(weights.values.allSatisfy { $0.isFinite && $0 > 0 }, "seed \(seed)")
          #expect(abs(weights.values.reduce(0, +) - 1) < 1e-9, "seed \(seed)")
        }
      }
    }
  }
}
