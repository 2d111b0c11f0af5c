import Common
import Foundation

/// Recomputes a published result from the state before and the ledger's segment, and holds every bit of it
/// against what was published.
public enum Replay {
  /// What a replay that agrees found.
  public struct Agreement: Sendable {
    /// The result, as recomputed and as published.
    public var result: PeriodResult
    /// The result as Redis keeps it.
    public var text: String
    /// The segment that it follows from.
    public var segment: SegmentReference
  }

  /// Replays one period of a folder.
  /// - Throws: `ExportError` that names the first difference, or what is missing.
  public static func run(_ period: PeriodID, in directory: ExportDirectory) throws(ExportError) -> Agreement {
    let (published, text) = try directory.result(period)
    guard let reference = published.segment else {
      throw ExportError("\(directory.file(period, .result)) names no segment of the ledger")
    }
    var state = try base(of: reference.from, in: directory)
    let path = directory.file(period, .segment)
    var results: [PeriodResult] = []
    let segment = try SegmentReader.read(path: path) { id, fields throws(ExportError) in
      guard let entry = LedgerCodec.entry(fields) else { return }
      if let result = state.apply(entry, id: id.description) { results.append(result) }
    }
    try compare(segment, with: reference, path)
    guard segment.digest == reference.digest else {
      throw rewritten(segment, reference, path, results.last, text)
    }
    guard var result = results.last, results.count == 1, result.period == period else {
      throw ExportError(
        "\(path): its entries close \(results.count) periods, and should close \(period) alone")
    }
    result.segment = reference
    try compare(result, with: text, directory.file(period, .result))
    try compare(state, with: reference, in: directory, period)
    try compareWeights(result, in: directory)
    return Agreement(result: result, text: text, segment: reference)
  }

  /// The state that a segment begins with.
  private static func base(
    of start: SegmentStart, in directory: ExportDirectory
  ) throws(ExportError) -> FoldState {
    let id: LedgerID
    switch start {
    case .beginning: return FoldState()
    case .after(let close): id = close
    case .at(let entry): throw ExportError("a segment that begins with entry \(entry) has no state before it")
    }
    guard let period = try directory.period(closedBy: id) else {
      throw ExportError(
        "\(directory.path) lacks the checkpoint of the close before, entry \(id): the first period that an"
          + " aggregator exports here cannot be replayed, nor one whose predecessor was dropped")
    }
    let path = directory.file(period, .checkpoint)
    let (header, state) = try CheckpointFile.read(path: path)
    if directory.has(period, .result),
      let published = try directory.result(period).result.segment?.stateDigest,
      published != header.stateDigest
    {
      throw ExportError("\(path) was altered: its period was published with state \(published.prefix(16))…")
    }
    return state
  }

  private static func compare(
    _ segment: SegmentReader, with reference: SegmentReference, _ path: String
  ) throws(ExportError) {
    guard segment.start == reference.from, segment.firstID == reference.firstID,
      segment.lastID == reference.lastID, segment.entries == reference.entries
    else {
      throw ExportError(
        "\(path): it holds \(segment.entries) entries up to \(segment.lastID?.description ?? "none"), and"
          + " \(reference.entries) up to \(reference.lastID) were published")
    }
  }

  /// Whoever rewrote all later digests has hidden which entry was altered; what follows from it still shows.
  private static func rewritten(
    _ segment: SegmentReader, _ reference: SegmentReference, _ path: String, _ result: PeriodResult?,
    _ text: String
  ) -> ExportError {
    var result = result
    result?.segment = reference
    let recomputed = result.flatMap { try? $0.encodedText() }
    let consequence: String
    switch recomputed {
    case .some(text): consequence = "no figure changes by it"
    case .some(let other):
      consequence = "what follows: " + JSONDifference.first(published: text, recomputed: other)
    case .none: consequence = "its entries close no period"
    }
    return ExportError(
      "\(path): entries were altered and all digests after them rewritten: the last is"
        + " \(segment.digest.prefix(16))…, published was \(reference.digest.prefix(16))…; \(consequence)")
  }

  private static func compare(
    _ result: PeriodResult, with text: String, _ path: String
  ) throws(ExportError) {
    guard let recomputed = try? result.encodedText() else {
      throw ExportError("\(path): the recomputed result has a figure that is not finite")
    }
    guard recomputed != text else { return }
    throw ExportError("\(path): " + JSONDifference.first(published: text, recomputed: recomputed))
  }

  /// The state after the close must be the published one, and the one that the next period begins with.
  private static func compare(
    _ state: FoldState, with reference: SegmentReference, in directory: ExportDirectory, _ period: PeriodID
  ) throws(ExportError) {
    guard let encoded = try? state.encoded() else { throw ExportError("the state cannot be encoded") }
    let digest = SHA256.hex(Array(encoded))
    guard digest == reference.stateDigest else {
      throw ExportError(
        "period \(period): the state after the close has digest \(digest.prefix(16))…, published was"
          + " \(reference.stateDigest.prefix(16))…")
    }
    let path = directory.file(period, .checkpoint)
    guard directory.has(period, .checkpoint) else { throw ExportError("\(path) is missing") }
    let header = try CheckpointFile.read(path: path).header
    guard header.stateDigest == digest, header.cursor == reference.lastID else {
      throw ExportError("\(path) was altered: it is not the state after entry \(reference.lastID)")
    }
  }

  private static func compareWeights(
    _ result: PeriodResult, in directory: ExportDirectory
  ) throws(ExportError) {
    let path = directory.file(result.period, .weights)
    guard let document = WeightsDocument(result) else {
      guard !directory.has(result.period, .weights) else {
        throw ExportError("\(path): weights were published, and nothing was to be set")
      }
      return
    }
    let published = try directory.read(result.period, .weights)
    guard Array(published) != document.json else { return }
    throw ExportError(
      "\(path): "
        + JSONDifference.first(
          published: String(decoding: published, as: UTF8.self),
          recomputed: String(decoding: document.json, as: UTF8.self)))
  }
}
