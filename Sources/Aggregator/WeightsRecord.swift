import Common
import Foundation

/// How sending went, as it stands beside the weights in Redis.
struct SendStatus: Equatable, Sendable {
  /// The period whose weights were sent last; nil before the first.
  var sentPeriod: PeriodID?
  /// When that was, in Unix ms.
  var sentAtMilliseconds: Int?
  /// Failed tries since then.
  var failures = 0
  /// What the last failed try said; empty when the last try succeeded.
  var error = ""
  /// When that was, in Unix ms.
  var errorAtMilliseconds: Int?

  init() {}

  /// Reads what `fields` wrote; what is missing is left out.
  init(_ fields: [String: String]) {
    sentPeriod = fields["sent_period"].flatMap { PeriodID($0) }
    sentAtMilliseconds = fields["sent_at"].flatMap { Int($0) }
    failures = fields["send_failures"].flatMap { Int($0) } ?? 0
    error = fields["send_error"] ?? ""
    errorAtMilliseconds = fields["send_error_at"].flatMap { Int($0) }
  }

  /// Field and value pairs.
  var fields: [String] {
    [
      "sent_period", sentPeriod?.description ?? "", "sent_at", sentAtMilliseconds.map(String.init) ?? "",
      "send_failures", String(failures), "send_error", error,
      "send_error_at", errorAtMilliseconds.map(String.init) ?? "",
    ]
  }
}

/// What stands beside the weights in Redis and goes from one publication to the next.
struct WeightsRecord: Equatable, Sendable {
  /// The period that the published weights were computed from; nil before the first.
  var weightsPeriod: PeriodID?
  /// The first ledger entries of the last closed periods, newest first.
  var firstIDs: [LedgerID] = []
  /// The entry that closed the last period; nil before the first.
  var lastClose: LedgerID?
  /// Ledger entries that could not be understood, in all.
  var unreadable = 0
  /// Why the last close was not exported; empty when it was, or nothing is exported.
  var exportError = ""

  init() {}

  /// Reads what `fields` wrote; what is missing is left out.
  init(_ fields: [String: String]) {
    weightsPeriod = fields["weights_period"].flatMap { PeriodID($0) }
    firstIDs = (fields["first_ids"] ?? "").split(separator: " ").compactMap { LedgerID($0) }
    lastClose = fields["last_id"].flatMap { LedgerID($0) }
    unreadable = fields["unreadable"].flatMap { Int($0) } ?? 0
  }

  /// Field and value pairs.
  private var fields: [String] {
    [
      "weights_period", weightsPeriod?.description ?? "",
      "first_ids", firstIDs.map(\.description).joined(separator: " "), "unreadable", String(unreadable),
      "export_error", exportError,
    ]
  }

  /// What a closed period changes: the record after it, and what is published with it.
  func publishing(
    _ closed: ClosedPeriod, options: AggregatorOptions, status: SendStatus
  ) throws -> (record: WeightsRecord, publication: JobQueue.Publication) {
    let result = closed.result
    var record = self
    record.lastClose = result.lastLedgerID
    record.firstIDs = Array(([result.firstLedgerID] + firstIDs).prefix(options.keptPeriods))
    var weights: [String]?
    var outcome = "set"
    var reason = ""
    switch result.outcome {
    case .nothing(let why): (outcome, reason) = ("nothing", why)
    case .weights where options.isDryRun: outcome = "dry_run"
    case .weights(let miners):
      record.weightsPeriod = result.period
      weights = miners.flatMap { [$0.hotkey, WeightsDocument.text(of: $0)] }
    }
    let about =
      ["outcome", outcome, "nothing_set", reason] + Self.about(result)
      + ["verdicts", try Self.json(closed.verdicts)] + record.fields + status.fields
    let keep = min(options.resultsMax, max(1, options.resultBytesMax / max(1, closed.json.utf8.count)))
    return (
      record,
      .init(weights: weights, about: about, result: closed.json, keep: keep, proven: closed.proven)
    )
  }

  /// Before which entry the ledger may be dropped: nothing that is kept, belongs to an open period or was
  /// not folded into the saved state. nil while too few periods are closed.
  func trimmable(_ closed: ClosedPeriod, keptPeriods: Int, savedCursor: String) -> LedgerID? {
    guard firstIDs.count >= keptPeriods, let cursor = LedgerID(savedCursor) else { return nil }
    return (firstIDs + closed.openFirstIDs + [cursor]).min()
  }

  private static func about(_ result: PeriodResult) -> [String] {
    let balance = result.balance
    let numbers: [(String, Int)] = [
      ("at", result.lastLedgerID.milliseconds), ("planned", balance.planned), ("done", balance.done),
      ("failed", balance.failed), ("neutral", balance.neutral), ("skipped", balance.skipped),
      ("expired", balance.expired), ("dead", balance.dead), ("missing", balance.missing),
      ("duplicates", balance.duplicates),
    ]
    let fields = [
      "period", result.period.description, "profile", result.profile, "config_digest", result.configDigest,
      "first_id", result.firstLedgerID.description, "last_id", result.lastLedgerID.description,
    ]
    return fields + numbers.flatMap { [$0.0, String($0.1)] } + (result.segment.map(about) ?? [])
  }

  private static func about(_ segment: SegmentReference) -> [String] {
    [
      "segment_from", segment.from.description, "segment_first_id", segment.firstID.description,
      "segment_last_id", segment.lastID.description, "segment_entries", String(segment.entries),
      "segment_digest", segment.digest, "state_digest", segment.stateDigest,
    ]
  }

  private static func json(_ verdicts: [String: TaskVerdicts]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(verdicts), as: UTF8.self)
  }
}
