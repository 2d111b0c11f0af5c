import TestSupport
import Testing

@testable import Aggregator
@testable import Common
@testable import Vision

@Suite("What a demo reads from the ledger")
struct DemoLedgerTests {
  private static let period = PeriodID(startSeconds: 1_700_000_000)

  private func attempt(_ job: String, settles: Bool = true) -> AttemptEntry {
    AttemptEntry(
      job: job, kind: .synthetic, period: Self.period, task: "chat", hotkey: "hk0", outcome: .ok, status: 200,
      workMilli: 1, units: 4, firstContentMilliseconds: 5, totalMilliseconds: 9, settles: settles)
  }

  private func verdict(_ state: VerdictEntry.State) -> LedgerEntry {
    .verdict(VerdictEntry(check: "c", attempt: attempt("o1"), state: state, score: nil))
  }

  private func query(_ number: Int, in period: PeriodID = period) -> SyntheticJob {
    SyntheticJob(period: period, task: "chat", miner: 0, number: number)
  }

  @Test("counts how often each planned query was settled, in whatever way, and users' requests not at all")
  func settled() {
    var ledger = DemoLedger()
    let next = PeriodID(startSeconds: 1_700_000_060)
    for entry: LedgerEntry in [
      .attempt(attempt(query(0).description)), .attempt(attempt(query(1).description, settles: false)),
      .skipped(SkipEntry(job: query(2), reason: .volume)),
      .skipped(SkipEntry(job: query(2), reason: .expired)),
      .dead(DeadEntry(job: query(3).description, kind: .synthetic, reason: "r")),
      .attempt(attempt("o1")), .skipped(SkipEntry(job: query(4, in: next), reason: .expired)),
    ] { ledger.note(entry, Self.period) }
    #expect(ledger.settled == [query(0): 1, query(2): 2, query(3): 1])
  }

  @Test("counts verdicts up to the period's close, and finds those that count for nobody")
  func verdicts() throws {
    var ledger = DemoLedger()
    for state in [VerdictEntry.State.judged, .judged, .unjudged, .failed] {
      ledger.note(verdict(state), Self.period)
    }
    ledger.note(.closed(PeriodID(startSeconds: 1)), Self.period)
    ledger.note(verdict(.judged), Self.period)
    ledger.note(.closed(Self.period), Self.period)
    ledger.note(verdict(.judged), Self.period)
    #expect(ledger.judged == [.init(task: "chat", hotkey: "hk0"): 3] && ledger.unjudged == 2)
    #expect(DemoReport.qualityProblems(result(rows: 3), ledger) == [])
    #expect(
      DemoReport.coverage(result(rows: 3), ledger)
        == "checks 3 judged, 2 without a score; 1 of 2 claims have a quality")
    #expect(DemoReport.qualityProblems(result(rows: 0), ledger) == ["3 verdicts count for nobody's quality"])
  }

  /// Two miners claim capacity; the first one's quality rests on so many verdicts.
  private func result(rows: Int) -> PeriodResult {
    let miners = [rows, 0].enumerated().map { index, rows in
      MinerResult(
        uid: index, counters: PeriodCounters(), periodScore: nil,
        factors: MinerFactors(
          hotkey: "hk\(index)", capacity: 1,
          quality: TaskQuality(rows: rows, average: 1, speed: 1, combined: 1),
          history: HistoryScore(records: 0, mean: 0, multiplier: 1)))
    }
    return PeriodResult(
      period: Self.period, profile: "vision", configDigest: "d", balance: PeriodBalance(planned: 0),
      tasks: [TaskResult(task: "chat", weight: 1, miners: miners)], outcome: .nothing(reason: "r"),
      firstLedgerID: LedgerID("1-0")!, lastLedgerID: LedgerID("2-0")!)
  }
}
