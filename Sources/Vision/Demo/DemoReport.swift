import Aggregator
import Common
import Foundation

/// Judges a demo when its weights are there: the weights beside the truth, and the balance.
@IO
struct DemoReport {
  let queue: JobQueue
  let folder: DemoFolder
  /// In order; the weights are those of the last one.
  let periods: [PeriodID]

  /// The least rank correlation of weights and truth.
  nonisolated static let correlationMin = 0.9

  /// One miner, as it is and as it was weighed.
  struct Line: Equatable {
    var hotkey: String
    var uid: Int
    var behaviour: String
    var twin: String?
    var truth: Double
    var weight: Double
  }

  /// Prints the table and the balance. `ok` when all holds.
  func judge(_ takeover: DemoTakeover?, _ users: DemoUsers) async throws -> ExitCode {
    guard let last = periods.last else { throw DemoFailure("no period was opened") }
    let lines = try await lines()
    show(lines)
    var ledger = DemoLedger()
    var problems: [String] = []
    for period in periods {
      guard let record = try await queue.periodRecord(period) else {
        throw DemoFailure("period \(period) is not in Redis any more")
      }
      ledger = try await DemoLedger.read(queue, period)
      problems += balanceProblems(period, record, ledger.settled)
    }
    let result = try await result(last)
    print(DemoReport.coverage(result, ledger))
    if let takeover { print(takeover.line) }
    problems += takeover?.problems ?? []
    if let line = users.line { print(line) }
    problems += users.problems
    problems += try await replayProblems()
    problems += DemoReport.qualityProblems(result, ledger)
    problems += DemoReport.problems(lines)
    let fsck = try await Fsck(queue).run()
    problems += fsck.problems.map { "fsck: \($0)" }
    for problem in problems { print("PROBLEM \(problem)") }
    print(problems.isEmpty ? "all holds" : "\(problems.count) problems")
    return problems.isEmpty ? .ok : .failed
  }

  // MARK: weights and truth

  private func lines() async throws -> [Line] {
    guard let data = FileManager.default.contents(atPath: folder.file("truth.json")),
      case .array(let miners)? = try JSON(parsing: data)["miners"]
    else { throw DemoFailure("the ground truth cannot be read") }
    let weights = try await queue.redis.send("HGETALL", queue.keys.fixed(.weights)).fields ?? [:]
    return try miners.map { miner in
      guard let hotkey = miner["hotkey"]?.text, let uid = miner["uid"]?.int,
        let behaviour = miner["behaviour"]?.text, let truth = miner["honest_value"]?.double
      else { throw DemoFailure("the ground truth lacks a field") }
      let stored = try weights[hotkey].map { try JSON(parsing: Data($0.utf8)) }
      return Line(
        hotkey: hotkey, uid: uid, behaviour: behaviour, twin: miner["twin_of"]?.text, truth: truth,
        weight: stored?["weight"]?.double ?? 0)
    }
  }

  private func show(_ lines: [Line]) {
    print(" uid  hotkey        behaviour            truth   weight")
    for line in lines.sorted(by: { $0.weight > $1.weight }) {
      let name = line.behaviour.padding(toLength: 16, withPad: " ", startingAt: 0)
      let truth = String(format: "%9.4f%9.4f", line.truth, line.weight)
      print(String(format: "%4d  ", line.uid) + line.hotkey.prefix(12) + "  " + name + truth)
    }
    print(String(format: "rank correlation of weight and truth %.3f", DemoReport.spearman(lines)))
  }

  /// What does not hold of the weights.
  nonisolated static func problems(_ lines: [Line]) -> [String] {
    var problems: [String] = []
    let correlation = spearman(lines)
    if correlation < correlationMin {
      problems.append(
        String(format: "rank correlation %.3f is below %.1f", correlation, correlationMin))
    }
    let weights = Dictionary(lines.map { ($0.hotkey, $0.weight) }, uniquingKeysWith: { first, _ in first })
    for line in lines where line.behaviour != "honest" {
      guard let twin = line.twin, let honest = weights[twin] else { continue }
      if line.weight >= honest {
        problems.append("the miner that \(line.behaviour) earns no less than its honest twin")
      }
    }
    let sum = lines.reduce(0) { $0 + $1.weight }
    if abs(sum - 1) > 1e-6 { problems.append("the weights sum to \(sum)") }
    return problems
  }

  /// Spearman's rank correlation of truth and weight, ties with average ranks; 0 when either is constant.
  nonisolated static func spearman(_ lines: [Line]) -> Double {
    let left = ranks(lines.map(\.truth))
    let right = ranks(lines.map(\.weight))
    let mean = Double(lines.count + 1) / 2
    var both = 0.0
    var leftSquares = 0.0
    var rightSquares = 0.0
    for (first, second) in zip(left, right) {
      both += (first - mean) * (second - mean)
      leftSquares += (first - mean) * (first - mean)
      rightSquares += (second - mean) * (second - mean)
    }
    guard leftSquares > 0, rightSquares > 0 else { return 0 }
    return both / (leftSquares * rightSquares).squareRoot()
  }

  nonisolated private static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start
      while end + 1 < order.count, values[order[end + 1]] == values[order[start]] { end += 1 }
      for index in start...end { ranks[order[index]] = Double(start + end) / 2 + 1 }
      start = end + 1
    }
    return ranks
  }

  // MARK: checks

  private func result(_ period: PeriodID) async throws -> PeriodResult {
    guard let text = try await RecordedPeriods.text(of: period, queue) else {
      throw DemoFailure("no result of period \(period) was published")
    }
    return try JSONDecoder().decode(PeriodResult.self, from: Data(text.utf8))
  }

  /// Recomputes every period from what was exported, and holds it against the files and Redis.
  private func replayProblems() async throws -> [String] {
    let directory = ExportDirectory(folder.file(DemoFolder.exports))
    let published = PublishedResults(queue)
    var problems: [String] = []
    for period in periods {
      do {
        let agreement = try Replay.run(period, in: directory)
        let said = try await published.compare(agreement)
        if said != PublishedResults.agrees { problems.append("replay of period \(period): \(said)") }
      } catch let error as ExportError {
        problems.append("replay: \(error)")
      }
    }
    print("replay: \(periods.count - problems.count) of \(periods.count) periods bit-equal")
    return problems
  }

  /// How much of what counts was checked.
  nonisolated static func coverage(_ result: PeriodResult, _ ledger: DemoLedger) -> String {
    let rows = result.tasks.filter { $0.weight > 0 }.flatMap(\.miners).map(\.factors.quality.rows)
    let judged = ledger.judged.values.reduce(0, +)
    return "checks \(judged) judged, \(ledger.unjudged) without a score; "
      + "\(rows.count { $0 > 0 }) of \(rows.count) claims have a quality"
  }

  /// Whoever was judged has a quality that rests on it, whatever became of the checking server since.
  nonisolated static func qualityProblems(_ result: PeriodResult, _ ledger: DemoLedger) -> [String] {
    var lost = 0
    for task in result.tasks {
      for miner in task.miners where miner.factors.quality.rows == 0 {
        lost += ledger.judged[.init(task: task.task, hotkey: miner.factors.hotkey)] ?? 0
      }
    }
    return lost == 0 ? [] : ["\(lost) verdicts count for nobody's quality"]
  }

  // MARK: balance

  private func balanceProblems(
    _ period: PeriodID, _ record: PeriodRecord, _ settled: [SyntheticJob: Int]
  ) -> [String] {
    let which = periods.count > 1 ? "period \(period): " : ""
    let parts = PeriodRecord.settledNames.map { "\($0) \(record.settled[$0] ?? 0)" }
    print("\(which)planned \(record.planned) = " + parts.joined(separator: " + "))
    var problems: [String] = []
    if record.planned != record.settledCount {
      problems.append("\(which)\(record.planned) queries were planned and \(record.settledCount) settled")
    }
    let twice = settled.filter { $0.value > 1 }
    if !twice.isEmpty { problems.append("\(which)\(twice.count) queries are settled twice in the ledger") }
    if settled.count != record.planned {
      problems.append("\(which)\(settled.count) of \(record.planned) queries are settled in the ledger")
    }
    return problems
  }
}
