import Foundation

/// Takes the values of a record, one after the other.
protocol FieldSink {
  mutating func add(_ text: String)
  mutating func add(_ number: Int)
}

/// Ledger entries as the fields of a Redis stream entry. docs/LEDGER.md describes them.
public enum LedgerCodec {
  /// The layout that is written and read.
  public static let version = "1"

  /// The names of the values that ``write(_:miner:to:)`` adds, in their order.
  static let attemptFields = [
    "job", "kind", "period", "task", "miner", "hotkey", "outcome", "status", "work", "units", "first_ms",
    "total_ms", "settles",
  ]

  /// Writes an attempt's values, straight to where they go: workers do it for every job. The script that ends the
  /// job gives them their names.
  static func write(_ entry: AttemptEntry, miner: Int, to values: inout some FieldSink) {
    values.add(entry.job)
    values.add(entry.kind.rawValue)
    values.add(entry.period.startSeconds)
    values.add(entry.task)
    values.add(miner)
    values.add(entry.hotkey)
    values.add(entry.outcome.rawValue)
    values.add(entry.status)
    values.add(entry.workMilli)
    values.add(entry.units)
    if let first = entry.firstContentMilliseconds {
      values.add(first)
    } else {
      values.add("")
    }
    values.add(entry.totalMilliseconds)
    values.add(entry.settles ? "1" : "0")
  }

  /// Reads the fields of a stream entry; nil when they are of another version, or not a ledger entry's.
  public static func entry(_ fields: [String: String]) -> LedgerEntry? {
    guard fields["v"] == version, let type = fields["type"] else { return nil }
    return entry(type: type, fields)
  }

  static func entry(type: String, _ fields: [String: String]) -> LedgerEntry? {
    switch type {
    case "opened":
      guard let text = fields["snapshot"],
        let snapshot = try? JSONDecoder().decode(PeriodSnapshot.self, from: Data(text.utf8))
      else { return nil }
      return .opened(snapshot)
    case "attempt": return attempt(fields).map { .attempt($0) }
    case "verdict":
      guard let check = fields["check"], let attempt = attempt(fields),
        let state = fields["state"].flatMap(VerdictEntry.State.init(rawValue:))
      else { return nil }
      let score = fields["score"].flatMap(Double.init)
      return .verdict(VerdictEntry(check: check, attempt: attempt, state: state, score: score))
    case "skip":
      guard let job = fields["job"].flatMap({ SyntheticJob(id: $0) }),
        let reason = fields["reason"].flatMap(SkipEntry.Reason.init(rawValue:))
      else { return nil }
      return .skipped(SkipEntry(job: job, reason: reason))
    case "dead":
      guard let job = fields["job"], let kind = fields["kind"].flatMap(JobKind.init(rawValue:)) else {
        return nil
      }
      return .dead(DeadEntry(job: job, kind: kind, reason: fields["reason"] ?? ""))
    case "closed": return fields["period"].flatMap { PeriodID($0) }.map { .closed($0) }
    default: return nil
    }
  }

  private static func attempt(_ fields: [String: String]) -> AttemptEntry? {
    func int(_ name: String) -> Int? { fields[name].flatMap(Int.init) }
    guard let job = fields["job"], let kind = fields["kind"].flatMap(JobKind.init(rawValue:)),
      let period = fields["period"].flatMap({ PeriodID($0) }), let task = fields["task"],
      let hotkey = fields["hotkey"], let outcome = fields["outcome"].flatMap(Outcome.init(rawValue:)),
      let status = int("status"), let work = int("work"), let units = int("units"),
      let total = int("total_ms")
    else { return nil }
    return AttemptEntry(
      job: job, kind: kind, period: period, task: task, hotkey: hotkey, outcome: outcome, status: status,
      workMilli: work, units: units, firstContentMilliseconds: int("first_ms"), totalMilliseconds: total,
      settles: fields["settles"] == "1")
  }
}
