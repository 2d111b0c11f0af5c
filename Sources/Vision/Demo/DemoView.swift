import Common
import Foundation

/// The live view of a demo: what the ledger, the queue and the workers say, twice a second.
@IO
final class DemoView {
  /// One moment.
  struct Moment {
    var report: StatusReport
    var period: StatusReport.Period?
    var tokensPerSecond: Int
    var users: DemoUsers
    var rows: [Row]
    var isPeriodOver: Bool
    var hasWeights: Bool
  }

  /// The counters of one task.
  struct Row {
    var task: String
    var waiting = 0
    var running = 0
    var done = 0
    var failed = 0
    var other = 0
  }

  private let queue: JobQueue
  /// How many periods the demo has.
  private let periodsExpected: Int
  private var cursor = ""
  private var rows: [PeriodID: [String: Row]] = [:]
  private var planned: [PeriodID: [String: Int]] = [:]
  private var tokens: (count: Int, at: Monotonic)?
  private var lastRecord: PeriodRecord?
  /// The periods that were opened, in order.
  private(set) var periods: [PeriodID] = []
  /// The period that is shown: the first one without a result, or the last one. Nil before the first.
  private(set) var period: PeriodID?
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private var linesShown = 0
  private var lastPlainLine = Monotonic(nanoseconds: 0)

  init(queue: JobQueue, periods: Int = 1) {
    self.queue = queue
    periodsExpected = periods
  }

  // MARK: read

  func refresh(_ organics: DemoOrganics) async throws(RedisError) -> Moment {
    let report = try await StatusReport.read(queue)
    try await readLedger()
    let computed = report.weightsMeta["period"].flatMap { PeriodID($0) }
    period = periods.first { one in computed.map { $0 < one } ?? true } ?? periods.last
    var record: StatusReport.Period?
    if let period, let known = try await queue.periodRecord(period) {
      record = .init(id: period, record: known)
    }
    var shown = period.flatMap { rows[$0] } ?? [:]
    try await countRunning(&shown)
    for (task, count) in period.flatMap({ planned[$0] }) ?? [:] {
      var row = shown[task] ?? Row(task: task)
      row.waiting = max(0, count - row.done - row.failed - row.other - row.running)
      shown[task] = row
    }
    let isOver = record.map { report.nowMilliseconds >= $0.record.endMilliseconds } ?? false
    let isLast = periods.count == periodsExpected && period == periods.last
    let hasResult = period.map { one in computed.map { $0 >= one } ?? false } ?? false
    return Moment(
      report: report, period: record, tokensPerSecond: rate(report),
      users: organics.users,
      rows: shown.values.sorted { $0.task < $1.task }, isPeriodOver: isOver && isLast,
      hasWeights: isLast && hasResult)
  }

  private func readLedger() async throws(RedisError) {
    while true {
      let entries = try await queue.readLedger(after: cursor, limit: 1000)
      for record in entries {
        cursor = record.id
        switch record.entry {
        case .opened(let snapshot): note(snapshot)
        case .attempt(let attempt) where attempt.settles:
          rows[attempt.period, default: [:]][attempt.task, default: Row(task: attempt.task)]
            .count(attempt.outcome)
        case .skipped(let skip): noteOther(skip.job)
        case .dead(let dead): if let job = SyntheticJob(id: dead.job) { noteOther(job) }
        default: break
        }
      }
      if entries.count < 1000 { return }
    }
  }

  private func noteOther(_ job: SyntheticJob) {
    rows[job.period, default: [:]][job.task, default: Row(task: job.task)].other += 1
  }

  private func note(_ snapshot: PeriodSnapshot) {
    // Of several producers the one that did not close the last period may open another one.
    guard periods.count < periodsExpected, !periods.contains(snapshot.id) else { return }
    periods.append(snapshot.id)
    for (index, task) in snapshot.tasks.enumerated() where task.weight > 0 {
      planned[snapshot.id, default: [:]][task.name] = snapshot.counts[index].reduce(0, +)
    }
  }

  private func countRunning(_ rows: inout [String: Row]) async throws(RedisError) {
    let reply = try await queue.redis.send("ZRANGE", queue.keys.fixed(.lease), "0", "999")
    for id in (reply.elements ?? []).compactMap(\.text) {
      guard let job = SyntheticJob(id: id), job.period == period else { continue }
      rows[job.task, default: Row(task: job.task)].running += 1
    }
  }

  /// Tokens per second over all workers since the last look.
  private func rate(_ report: StatusReport) -> Int {
    let sum = report.workers.compactMap { $0.fields["tokens"].flatMap { Int($0) } }.reduce(0, +)
    let now = Monotonic.now()
    guard let last = tokens else {
      tokens = (sum, now)
      return 0
    }
    let elapsed = now.milliseconds(since: last.at)
    // Workers report every two seconds.
    guard elapsed >= 2_000 else { return lastRate }
    tokens = (sum, now)
    lastRate = max(0, (sum - last.count) * 1000 / elapsed)
    return lastRate
  }

  private var lastRate = 0

  // MARK: show

  func show(_ moment: Moment) {
    guard isTerminal else { return showPlain(moment) }
    var lines = [headline(moment)]
    lines.append("task                          waiting  running     done   failed  skipped")
    for row in moment.rows {
      let name = row.task.padding(toLength: 28, withPad: " ", startingAt: 0)
      let numbers = [row.waiting, row.running, row.done, row.failed, row.other]
      lines.append(name + numbers.map { String(format: "%9d", $0) }.joined())
    }
    if linesShown > 0 { print("\u{1b}[\(linesShown)A", terminator: "") }
    for line in lines { print("\u{1b}[2K" + line) }
    linesShown = lines.count
    flushOutput()
  }

  /// Without a terminal one line every five seconds is enough.
  private func showPlain(_ moment: Moment) {
    guard lastPlainLine.advanced(milliseconds: 5_000) <= Monotonic.now() else { return }
    lastPlainLine = Monotonic.now()
    print(headline(moment))
    flushOutput()
  }

  private func headline(_ moment: Moment) -> String {
    guard let period = moment.period else { return "waiting for the first plan" }
    let record = period.record
    let length = max(1, record.endMilliseconds - record.startMilliseconds)
    let share = Double(moment.report.nowMilliseconds - record.startMilliseconds) / Double(length)
    let filled = Int(min(1, max(0, share)) * 20)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled)
    let number = (periods.firstIndex(of: period.id) ?? 0) + 1
    let which = periodsExpected > 1 ? "period \(number)/\(periodsExpected) · " : ""
    let phase = share >= 1 ? "closing" : "\(Int(share * 100)) %"
    let first = moment.users.medianFirstMilliseconds.map { "\($0) ms" } ?? "-"
    return "[\(bar)] \(which)\(phase) · settled \(record.settledCount)/\(record.planned) · "
      + "\(moment.tokensPerSecond) tokens/s · organics \(moment.users.ended["done"] ?? 0)/"
      + "\(moment.users.submitted), first token \(first) · checks \(moment.report.checks["judged"] ?? "0")"
  }

  func finish() { print("") }
}

extension DemoView.Row {
  fileprivate mutating func count(_ outcome: Outcome) {
    if outcome == .ok { done += 1 } else { failed += 1 }
  }
}
