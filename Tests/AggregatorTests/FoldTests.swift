import Common
import Foundation
import Testing

@testable import Aggregator

@Suite("The fold of the ledger")
struct FoldTests {
  private let period = PeriodID(startSeconds: 3600)

  @Test("a closed period gives weights, and its balance holds every planned query")
  func wholePeriod() throws {
    var script = LedgerScript()
    script.append(.opened(.make()))
    for miner in 0..<3 {
      for number in 0..<3 {
        let attempt = AttemptEntry.make(miner: miner, number: number)
        script.append(.attempt(attempt))
        script.judge(attempt, miner == 2 ? 0.5 : 1)
      }
      let failed = AttemptEntry.make(miner: miner, number: 3, outcome: miner == 1 ? .stallTimeout : .ok)
      script.append(.attempt(failed))
      for number in 0..<4 {
        let job = SyntheticJob(period: period, task: "code", miner: miner, number: number)
        let dead = DeadEntry(job: job.description, kind: .synthetic, reason: "three crashes")
        let skip = SkipEntry(job: job, reason: [.volume, .deregistered, .expired][min(number, 2)])
        script.append(number == 3 ? .dead(dead) : .skipped(skip))
      }
    }
    script.append(.closed(period))
    let result = try #require(script.results.first)
    let balance = result.balance
    let settled: [Int] = [balance.planned, balance.done, balance.failed, balance.neutral]
    #expect(settled == [24, 11, 1, 0] as [Int])
    let unsent: [Int] = [balance.skipped, balance.expired, balance.dead, balance.missing]
    #expect(unsent == [6, 3, 3, 0] as [Int])
    let weights = try #require(result.weights)
    #expect(abs(weights.values.reduce(0, +) - 1) < 1e-12)
    #expect(weights["m0"]! > weights["m1"]!)
    #expect(weights["m1"]! > weights["m2"]!)
    #expect(result.miner("m1", "chat")?.counters.failures == 1)
    #expect(result.miner("m0", "chat")?.periodScore == 1)
    #expect(result.miner("m0", "code")?.periodScore == nil)
    #expect(result.firstLedgerID.description == script.entries.first?.id)
    #expect(result.lastLedgerID.description == script.entries.last?.id)
    guard case .weights(let list) = result.outcome else { return }
    #expect(list.map(\.uid) == [10, 11, 12])
    #expect(list.map(\.value).max() == 65535)
    let copy = try JSONDecoder().decode(PeriodResult.self, from: JSONEncoder().encode(result))
    #expect(copy == result)
  }

  @Test("entries of a closed or unknown period are late and score nobody")
  func late() {
    var state = FoldState()
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.closed(period))
    script.append(.attempt(.make()))
    script.append(.attempt(.make(7200)))
    script.append(.skipped(SkipEntry(job: SyntheticJob(id: "s:3600:chat:0:1")!, reason: .expired)))
    script.append(.closed(period))
    #expect(script.fold(into: &state).count == 1)
    #expect(state.totals.late == 4)
    #expect(state.history.isEmpty)
  }

  @Test("a second settlement of the same query is counted and not scored")
  func duplicate() throws {
    var state = FoldState()
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.attempt(.make(number: 1)))
    script.append(.attempt(.make(number: 1, outcome: .serverError)))
    script.append(.skipped(SkipEntry(job: SyntheticJob(id: "s:3600:chat:0:1")!, reason: .expired)))
    script.append(.closed(period))
    let result = try #require(script.fold(into: &state).first)
    #expect(result.balance.done == 1)
    #expect(result.balance.failed == 0)
    #expect(result.balance.expired == 0)
    #expect(result.balance.duplicates == 2)
    #expect(state.totals.duplicates == 2)
    #expect(result.miner("m0", "chat")?.counters.total == 1)
  }

  @Test("an attempt that is nobody's fault settles its query and moves no counter")
  func neutral() throws {
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.attempt(.make(number: 0, outcome: .interrupted)))
    script.append(.attempt(.make(outcome: .cancelled, kind: .organic, settles: false)))
    script.append(.attempt(.make(outcome: .rateLimited, kind: .organic, settles: false)))
    script.append(.closed(period))
    let result = try #require(script.results.first)
    #expect(result.balance.neutral == 1)
    #expect(result.miner("m0", "chat")?.counters.total == 1)
    #expect(result.miner("m0", "chat")?.counters.rateLimits == 1)
  }

  @Test("what a period does not have is counted as unknown")
  func unknown() {
    var state = FoldState()
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.attempt(.make(task: "poems")))
    script.append(.attempt(.make(miner: 9)))
    script.append(.attempt(.make(number: 4)))
    var foreign = AttemptEntry.make(miner: 0)
    foreign.hotkey = "m1"
    script.append(.attempt(foreign))
    script.append(.dead(DeadEntry(job: "s:broken", kind: .synthetic, reason: "")))
    var unsound = PeriodSnapshot.make(7200)
    unsound.counts.removeLast()
    script.append(.opened(unsound))
    script.fold(into: &state)
    #expect(state.totals.unknown == 6)
    #expect(state.openPeriods == [period])
    #expect(state.balance(of: period)?.done == 0)
  }

  @Test("nobody earned anything: nothing is set, and it says why")
  func nothing() throws {
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.attempt(.make()))
    script.append(.closed(period))
    let result = try #require(script.results.first)
    #expect(result.weights == nil)
    #expect(
      result.outcome == WeightsOutcome.nothing(reason: "no miner has capacity, quality and a period score"))
    var empty = LedgerScript()
    empty.append(.opened(.make(miners: 0)))
    empty.append(.closed(period))
    #expect(empty.results.first?.outcome == WeightsOutcome.nothing(reason: "no miner claims capacity"))
  }

  @Test("a period is not opened twice, and at most four are open")
  func openPeriods() {
    var state = FoldState()
    var script = LedgerScript()
    for start in [3600, 3600, 7200, 10_800, 14_400] { script.append(.opened(.make(start))) }
    script.append(.closed(PeriodID(startSeconds: 7200)))
    script.append(.opened(.make(7200)))
    script.append(.opened(.make(18_000)))
    script.append(.opened(.make(21_600)))
    script.fold(into: &state)
    #expect(state.openPeriods.map(\.startSeconds) == [10_800, 14_400, 18_000, 21_600])
    #expect(state.totals.abandoned == 1)
  }

  @Test("a verdict that is not finite, or none, is no verdict", arguments: [nil, Double.nan, .infinity])
  func noVerdict(score: Double?) {
    var state = FoldState()
    var script = LedgerScript()
    script.judge(.make(), score)
    script.judge(.make(), -10)
    script.fold(into: &state)
    #expect(state.totals.unjudged == 1)
    #expect(state.verdictCount(task: "chat", hotkey: "m0") == 1)
  }

  @Test("quality stays as it was while nothing is checked, and ages while others are")
  func frozenQuality() throws {
    func quality(othersJudgedAtHour hour: Int?) throws -> Double {
      var script = LedgerScript()
      script.judge(.make(miner: 0), 1, atSeconds: 3600)
      script.judge(.make(miner: 1), 1, atSeconds: 3600)
      let later = 3600 * 100
      if let hour { script.judge(.make(miner: 1), 1, atSeconds: 3600 * hour) }
      script.append(.opened(.make(later)), atSeconds: later)
      script.append(.closed(PeriodID(startSeconds: later)))
      return try #require(script.results.first?.miner("m0", "chat")?.factors.quality.average)
    }
    #expect(try quality(othersJudgedAtHour: nil) == 1)
    #expect(try quality(othersJudgedAtHour: 40) == 1)
    #expect(try quality(othersJudgedAtHour: 99) == 0)
  }

  @Test("verdicts, past periods and absent miners are bounded")
  func bounded() {
    var state = FoldState()
    var script = LedgerScript()
    for _ in 0..<300 { script.judge(.make(miner: 0), 1) }
    script.judge(.make(miner: 7), 1)
    for hour in 1..<120 {
      script.append(.opened(.make(hour * 3600, count: { _, _ in 1 })), atSeconds: hour * 3600)
      script.append(.attempt(.make(hour * 3600)))
      script.append(.closed(PeriodID(startSeconds: hour * 3600)))
    }
    script.fold(into: &state)
    #expect(state.verdictCount(task: "chat", hotkey: "m0") == 200)
    #expect(state.verdictCount(task: "chat", hotkey: "m7") == 0)
    #expect(state.history["chat"]?["m0"]?.count == ScoringProfile.vision.historyRecordsMax)
    #expect(state.closed.count == FoldState.closedPeriodsMax)
  }

  @Test("a saved state of another version, or with tables that do not fit, is refused")
  func refusedStates() throws {
    var state = FoldState()
    state.apply(.opened(.make()), id: "1-0")
    let text = String(decoding: try state.encoded(), as: UTF8.self)
    let other = text.replacing("\"version\":2}", with: "\"version\":3}")
    #expect(other != text)
    #expect(throws: DecodingError.self) { try FoldState(decoding: Data(other.utf8)) }
    let cut = text.replacing("\"settled\":\"AAAA\"", with: "\"settled\":\"\"")
    #expect(cut != text)
    #expect(throws: DecodingError.self) { try FoldState(decoding: Data(cut.utf8)) }
  }

  @Test("a state from before proven volumes is read, and all miners begin as newcomers")
  func formerState() throws {
    var state = FoldState()
    state.apply(.opened(.make()), id: "1-0")
    let text = String(decoding: try state.encoded(), as: UTF8.self)
    let former = text.replacing("\"proven\":{},", with: "").replacing(
      "\"version\":2}", with: "\"version\":1}")
    #expect(former.utf8.count < text.utf8.count)
    let read = try FoldState(decoding: Data(former.utf8))
    #expect(read == state)
  }

  @Test("stream ids are read strictly", arguments: ["", "1", "1-", "-1", "1-2-3", "a-0", "1--2"])
  func badIDs(text: String) {
    var state = FoldState()
    #expect(LedgerID(text) == nil)
    state.apply(.opened(.make()), id: text)
    #expect(state == FoldState())
  }
}
