import Common
import Foundation

/// The folder with what was exported at each close: for every period a segment of the ledger, the state
/// right after the close, the result with every factor, and the weights as they were sent.
public struct ExportDirectory: Sendable {
  /// The files of a period.
  public enum Kind: String, CaseIterable, Sendable {
    /// The ledger entries between the close before and this one.
    case segment = "segment.jsonl"
    /// The fold state right after the close.
    case checkpoint = "checkpoint.json"
    /// The weights as they were sent; absent when nothing was to be set.
    case weights = "weights.json"
    /// Every factor, as Redis keeps it. Written last: with it a period is complete.
    case result = "result.json"
  }

  /// The folder.
  public let path: String

  /// Names a folder, which need not exist yet.
  public init(_ path: String) { self.path = path }

  /// The path of a file.
  public func file(_ period: PeriodID, _ kind: Kind) -> String {
    "\(path)/period-\(period).\(kind.rawValue)"
  }

  /// The complete periods, oldest first.
  /// - Throws: `ExportError` when the folder cannot be read.
  public func periods() throws(ExportError) -> [PeriodID] {
    try files().filter { $0.kind == .result }.map(\.period).sorted()
  }

  private func files() throws(ExportError) -> [(period: PeriodID, kind: Kind)] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      throw ExportError("\(path) is no folder that can be read")
    }
    return names.compactMap { name in
      guard name.hasPrefix("period-") else { return nil }
      let rest = name.dropFirst("period-".count)
      for kind in Kind.allCases where rest.hasSuffix("." + kind.rawValue) {
        return PeriodID(rest.dropLast(kind.rawValue.count + 1)).map { ($0, kind) }
      }
      return nil
    }
  }

  /// A file's content.
  /// - Throws: `ExportError` when it cannot be read.
  public func read(_ period: PeriodID, _ kind: Kind) throws(ExportError) -> Data {
    guard let data = FileManager.default.contents(atPath: file(period, kind)) else {
      throw ExportError("\(file(period, kind)) cannot be read")
    }
    return data
  }

  /// Whether a file is there.
  public func has(_ period: PeriodID, _ kind: Kind) -> Bool {
    FileManager.default.fileExists(atPath: file(period, kind))
  }

  /// A period's result, and its text without the newline.
  /// - Throws: `ExportError` when it is not there or is of another layout.
  public func result(_ period: PeriodID) throws(ExportError) -> (result: PeriodResult, text: String) {
    guard has(period, .result) else {
      let known = try periods()
      let which =
        known.isEmpty
        ? "it holds none" : "it holds \(known.count), from \(known[0]) to \(known[known.count - 1])"
      throw ExportError("\(path) holds no period \(period); \(which)")
    }
    var data = try read(period, .result)
    if data.last == SegmentFormat.newline { data.removeLast() }
    guard let result = try? JSONDecoder().decode(PeriodResult.self, from: data),
      result.version == PeriodResult.currentVersion
    else {
      throw ExportError(
        "\(file(period, .result)) is no result of layout \(PeriodResult.currentVersion)")
    }
    return (result, String(decoding: data, as: UTF8.self))
  }

  /// The period whose close was the ledger entry `id`; nil when it is not here.
  public func period(closedBy id: LedgerID) throws(ExportError) -> PeriodID? {
    for (period, kind) in try files() where kind == .checkpoint {
      if let header = try? CheckpointFile.header(path: file(period, .checkpoint)), header.cursor == id {
        return period
      }
    }
    return nil
  }

  /// Drops what is too old: the newest `count` periods stay, and of the one before them the state, from which
  /// the oldest one that stays can be replayed. Also drops what a process that was killed left unfinished.
  func prune(keeping count: Int) {
    guard let files = try? files() else { return }
    let newestFirst = Set(files.map(\.period)).sorted(by: >)
    for (place, period) in newestFirst.enumerated() where place >= count {
      for kind in Kind.allCases.reversed() where place > count || kind != .checkpoint {
        try? FileManager.default.removeItem(atPath: file(period, kind))
      }
    }
  }

  /// Drops files that were begun more than an hour ago and never finished.
  func dropUnfinished() {
    let manager = FileManager.default
    for name in (try? manager.contentsOfDirectory(atPath: path)) ?? []
    where name.hasPrefix("period-") && name.hasSuffix(AtomicFile.temporarySuffix) {
      let file = "\(path)/\(name)"
      let changed = (try? manager.attributesOfItem(atPath: file)[.modificationDate]) as? Date
      let ageSeconds = Double(WallClock.nowMilliseconds()) / 1000 - (changed?.timeIntervalSince1970 ?? 0)
      if ageSeconds > 3600 { try? manager.removeItem(atPath: file) }
    }
  }
}

/// A fold state as it is exported: a header of one line, and the state as Redis keeps it.
public struct CheckpointFile: Sendable {
  /// The first line.
  public struct Header: Codable, Equatable, Sendable {
    /// What the file is.
    public var format = CheckpointFile.format
    /// The layout of the file. The state has a version of its own.
    public var version = CheckpointFile.currentVersion
    /// The period that was closed last.
    public var period: PeriodID
    /// The ledger entry that closed it: the last one in the state.
    public var cursor: LedgerID
    /// SHA-256 of the state's bytes.
    public var stateDigest: String

    enum CodingKeys: String, CodingKey {
      case format, version, period, cursor
      case stateDigest = "state_digest"
    }
  }

  static let format = "vision-checkpoint"
  /// The layout that is written and read.
  static let currentVersion = 1
  /// The most bytes of the first line.
  private static let headerMaxBytes = 4096

  static func bytes(_ header: Header, state: [UInt8]) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(header)) + [SegmentFormat.newline] + state + [SegmentFormat.newline]
  }

  /// Reads only the first line.
  static func header(path: String) throws(ExportError) -> Header {
    guard let file = FileHandle(forReadingAtPath: path),
      let start = try? file.read(upToCount: headerMaxBytes)
    else { throw ExportError("\(path) cannot be read") }
    try? file.close()
    return try header(Data(start.prefix { $0 != SegmentFormat.newline }), path)
  }

  private static func header(_ line: Data, _ path: String) throws(ExportError) -> Header {
    guard let header = try? JSONDecoder().decode(Header.self, from: line), header.format == format else {
      throw ExportError("\(path) is no checkpoint")
    }
    guard header.version == currentVersion else {
      throw ExportError(
        "\(path) has layout \(header.version), and this program reads layout \(currentVersion)")
    }
    return header
  }

  /// Reads a checkpoint and holds the state against its digest.
  static func read(path: String) throws(ExportError) -> (header: Header, state: FoldState) {
    guard let data = FileManager.default.contents(atPath: path),
      let end = data.firstIndex(of: SegmentFormat.newline)
    else { throw ExportError("\(path) cannot be read") }
    let header = try header(data[..<end], path)
    var state = data[(end + 1)...]
    if state.last == SegmentFormat.newline { state = state.dropLast() }
    guard SHA256.hex(Array(state)) == header.stateDigest else {
      throw ExportError("\(path) was altered: its state has another digest than its first line says")
    }
    do {
      return (header, try FoldState(decoding: Data(state)))
    } catch {
      throw ExportError(
        "\(path): the state is of another version, or not sound: replay it with the program"
          + " that wrote it")
    }
  }
}
