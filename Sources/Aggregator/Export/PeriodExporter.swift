import Common
import Foundation

/// Writes what a close leaves behind into the export folder, before it is published: so whatever is
/// published can be recomputed from files.
///
/// The files are prepared under other names, and take their own only while the role is held; what they hold
/// follows from the ledger alone, so that a second aggregator that closes the same period writes the same
/// bytes. A process that ends in between leaves nothing half written, and the next one does it again.
@IO
final class PeriodExporter {
  /// Ledger entries read at once.
  private static let pageMax = 1_000

  private let directory: ExportDirectory
  private let keptPeriods: Int
  private let queue: JobQueue

  /// - Parameter queue: where the ledger is read.
  init(directory: String, keptPeriods: Int, queue: JobQueue) {
    self.directory = ExportDirectory(directory)
    self.keptPeriods = keptPeriods
    self.queue = queue
  }

  /// Exports a closed period.
  /// - Parameters:
  ///   - state: the encoded state right after the close.
  ///   - start: where the segment begins.
  ///   - stillLeads: whether the role is held, asked just before the files take their names.
  /// - Returns: the result with the reference to its segment; nil when the role was lost.
  /// - Throws: `AtomicFile.Failure` or `ExportError` when it cannot be written, `RedisError` when the ledger
  ///   cannot be read.
  func export(
    _ closed: PeriodResult, state: [UInt8], from start: SegmentStart,
    stillLeads: @IO () async throws -> Bool
  ) async throws -> PeriodResult? {
    let (directory, period) = (self.directory, closed.period)
    try await OffLoop.run { () throws(AtomicFile.Failure) in try Self.makeFolder(directory) }
    let segment = try AtomicFile(replacing: directory.file(period, .segment))
    let writer: SegmentWriter
    do { writer = try await write(segment, from: start, to: closed.lastLedgerID) } catch {
      segment.discard()
      throw error
    }
    var result = closed
    let others: [AtomicFile]
    do {
      (result, others) = try await OffLoop.run {
        try Self.prepare(closed, state: state, from: start, writer, directory)
      }
    } catch {
      segment.discard()
      throw error
    }
    let files = [segment] + others
    var leads = false
    do { leads = try await stillLeads() } catch {
      for file in files { file.discard() }
      throw error
    }
    guard leads else {
      for file in files { file.discard() }
      return nil
    }
    let (kept, hasWeights) = (keptPeriods, WeightsDocument(result) != nil)
    try await OffLoop.run { () throws(AtomicFile.Failure) in
      try Self.commit(files)
      if !hasWeights { try? FileManager.default.removeItem(atPath: directory.file(period, .weights)) }
      directory.prune(keeping: kept)
    }
    return result
  }

  private nonisolated static func makeFolder(_ directory: ExportDirectory) throws(AtomicFile.Failure) {
    do {
      try FileManager.default.createDirectory(
        atPath: directory.path, withIntermediateDirectories: true)
    } catch {
      let reason = (error as NSError).localizedDescription
      throw AtomicFile.Failure("make the folder", directory.path, reason: reason)
    }
    directory.dropUnfinished()
  }

  /// Writes the ledger's entries up to the close, a page at a time.
  private func write(
    _ file: AtomicFile, from start: SegmentStart, to last: LedgerID
  ) async throws -> SegmentWriter {
    var writer = SegmentWriter(from: start)
    let header = writer.headerLine
    try await OffLoop.run { () throws(AtomicFile.Failure) in try file.write(header) }
    var next = start.description
    while writer.lastID != last.description {
      let page = try await queue.readLedgerFields(from: next, to: last.description, limit: Self.pageMax)
      guard let end = page.last else {
        throw ExportError("the ledger does not hold entry \(last) any more", entry: last.description)
      }
      let before = writer
      writer = try await OffLoop.run { () throws(AtomicFile.Failure) in
        var writer = before
        var bytes: [UInt8] = []
        for entry in page { bytes += writer.line(entry) }
        try file.write(bytes)
        return writer
      }
      next = "(" + end.id
    }
    let end = writer.endLine
    try await OffLoop.run { () throws(AtomicFile.Failure) in try file.write(end) }
    return writer
  }

  /// Writes the other files under their preliminary names.
  private nonisolated static func prepare(
    _ closed: PeriodResult, state: [UInt8], from start: SegmentStart, _ writer: SegmentWriter,
    _ directory: ExportDirectory
  ) throws -> (PeriodResult, [AtomicFile]) {
    var result = closed
    let stateDigest = SHA256.hex(state)
    result.segment = SegmentReference(
      from: start, firstID: writer.firstID.flatMap { LedgerID($0) } ?? closed.lastLedgerID,
      lastID: closed.lastLedgerID, entries: writer.entries, digest: writer.digest, stateDigest: stateDigest)
    let header = CheckpointFile.Header(
      period: closed.period, cursor: closed.lastLedgerID, stateDigest: stateDigest)
    var contents: [(ExportDirectory.Kind, [UInt8])] = [
      (.checkpoint, try CheckpointFile.bytes(header, state: state))
    ]
    if let document = WeightsDocument(result) { contents.append((.weights, document.json)) }
    contents.append((.result, Array(try result.encodedText().utf8) + [SegmentFormat.newline]))
    var files: [AtomicFile] = []
    do {
      for (kind, bytes) in contents {
        files.append(try AtomicFile(replacing: directory.file(closed.period, kind)))
        try files[files.count - 1].write(bytes)
      }
    } catch {
      for file in files { file.discard() }
      throw error
    }
    return (result, files)
  }

  private nonisolated static func commit(_ files: [AtomicFile]) throws(AtomicFile.Failure) {
    for (index, file) in files.enumerated() {
      do throws(AtomicFile.Failure) { try file.commit() } catch {
        for rest in files[(index + 1)...] { rest.discard() }
        throw error
      }
    }
  }
}
