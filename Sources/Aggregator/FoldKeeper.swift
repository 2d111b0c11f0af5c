import Common
import Foundation

/// Verdicts of one task that came while a period was open, as far as they are kept.
struct TaskVerdicts: Codable, Equatable, Sendable {
  /// Verdicts in all.
  var verdicts: Int
  /// Miners with at least one.
  var miners: Int
  /// Miners that claim capacity for the task.
  var of: Int
}

/// A closed period, ready to be published.
struct ClosedPeriod: Sendable {
  var result: PeriodResult
  /// The result as JSON.
  var json: String
  /// What miners have proven, as ``ProvenVolumes`` writes it.
  var proven: [UInt8] = []
  /// By task.
  var verdicts: [String: TaskVerdicts]
  /// The first ledger entries of the periods that are still open.
  var openFirstIDs: [LedgerID]
}

/// Holds the state and folds into it. An actor of its own, so that large folds and encodings run beside the
/// event loop and never hold it up.
actor FoldKeeper {
  private var state: FoldState

  /// Starts with nothing folded.
  init() { state = FoldState() }

  /// Starts with a saved state.
  /// - Parameter cursor: the ledger entry that it was saved with.
  /// - Throws: `AggregatorError` when the state cannot be used.
  init(saved: [UInt8], cursor: String) async throws(AggregatorError) {
    state = FoldState()
    try load(saved, cursor: cursor)
  }

  private func load(_ saved: [UInt8], cursor: String) throws(AggregatorError) {
    struct Layout: Decodable { var version: Int }
    let data = Data(saved)
    do {
      state = try FoldState(decoding: data)
    } catch {
      let layout = try? JSONDecoder().decode(Layout.self, from: data)
      if let version = layout?.version, !FoldState.readableVersions.contains(version) {
        throw .unreadableState(
          "it has layout \(version), and this program reads layouts up to \(FoldState.currentVersion)")
      }
      throw .unreadableState(String(String(describing: error).prefix(300)))
    }
    guard let cursor = LedgerID(cursor) else { throw .unreadableState("its cursor is \(cursor)") }
    guard state.lastID <= cursor else {
      throw .unreadableState("it holds entry \(state.lastID), and its cursor is \(cursor)")
    }
  }

  /// What folding a part of a page brought.
  struct Part: Sendable {
    /// How many records were folded: up to a `closed` entry, this included, or all.
    var count = 0
    /// The ids of records that could not be understood.
    var unreadable: [String] = []
    /// Whether the last one is a `closed` entry, so that the state must be saved exactly here.
    var isEnd = false
    /// The period that the last one closed.
    var closed: ClosedPeriod?
  }

  /// Folds records up to the next `closed` entry.
  func fold(_ records: ArraySlice<LedgerRecord>) throws -> Part {
    var part = Part()
    for record in records {
      part.count += 1
      guard let entry = record.entry else {
        part.unreadable.append(record.id)
        continue
      }
      let result = state.apply(entry, id: record.id)
      guard case .closed = entry else { continue }
      part.isEnd = true
      part.closed = try result.map(closedPeriod)
      break
    }
    return part
  }

  /// The state as it is saved.
  func encoded() throws -> [UInt8] { Array(try state.encoded()) }

  /// The same period with another form of its result.
  func closed(_ period: ClosedPeriod, with result: PeriodResult) throws -> ClosedPeriod {
    var period = period
    period.result = result
    period.json = try result.encodedText()
    return period
  }

  private func closedPeriod(_ result: PeriodResult) throws -> ClosedPeriod {
    ClosedPeriod(
      result: result, json: try result.encodedText(), proven: try ProvenVolumes(state.proven).encoded(),
      verdicts: verdicts(result), openFirstIDs: state.open.map(\.firstID))
  }

  private func verdicts(_ result: PeriodResult) -> [String: TaskVerdicts] {
    let first = result.firstLedgerID.milliseconds
    var coverage: [String: TaskVerdicts] = [:]
    for task in result.tasks {
      let counts = (state.rows[task.task] ?? [:]).values.map { rows in
        rows.reversed().prefix { $0.timeMilliseconds >= first }.count
      }
      coverage[task.task] = TaskVerdicts(
        verdicts: counts.reduce(0, +), miners: counts.count(where: { $0 > 0 }), of: task.miners.count)
    }
    return coverage
  }
}
