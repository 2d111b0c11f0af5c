import Foundation

/// Takes the names and values of a record, one after the other.
protocol FieldSink {
  mutating func add(_ text: String)
  mutating func add(_ number: Int)
}

extension FieldSink {
  fileprivate mutating func add(_ name: String, _ value: String) {
    add(name)
    add(value)
  }

  fileprivate mutating func add(_ name: String, _ value: Int) {
    add(name)
    add(value)
  }
}

/// Ledger entries as the fields of a Redis stream entry. docs/LEDGER.md describes them.
public enum LedgerCodec {
  /// The layout that is written and read.
  public static let version = "1"

  /// How many names and values ``write(_:miner:to:)`` adds.
  static let attemptFieldCount = 26

  /// Writes an attempt's names and values, straight to where they go: workers do it for every job.
  static func write(_ entry: AttemptEntry, miner: Int, to fields: inout some FieldSink) {
    fields.add("job", entry.job)
    fields.add("kind", entry.kind.rawValue)
    fields.add("period", entry.period.startSeconds)
    fields.add("task", entry.task)
    fields.add("miner", miner)
    fields.add("hotkey", entry.hotkey)
    fields.add("outcome", entry.outcome.rawValue)
    fields.add("status", entry.status)
    fields.add("work", entry.workMilli)
    fields.add("units", entry.units)
    if let first = entry.firstContentMilliseconds {
      fields.add("first_ms", first)
    } else {
      fields.add("first_ms", "")
    }
    fields.add("total_ms", entry.totalMilliseconds)
    fields.add("settles", entry.settles ? "1" : "0")
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
