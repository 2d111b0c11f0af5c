import Common
import Foundation

/// Why an exported file is not what was written, in one line.
public struct ExportError: ExitCodeProviding, Equatable, CustomStringConvertible {
  /// The ledger entry at which it was noticed; nil when it is not about one.
  public var entry: String?
  /// One line.
  public let description: String
  /// 1.
  public var exitCode: ExitCode { .failed }

  /// Says what is wrong.
  public init(_ description: String, entry: String? = nil) {
    self.description = description
    self.entry = entry
  }
}

/// Reads a segment line by line and holds each line against its digest.
public struct SegmentReader {
  /// Where the segment begins; known after the header.
  public private(set) var start: SegmentStart?
  /// Entries so far.
  public private(set) var entries = 0
  /// The first entry's id; nil before it.
  public private(set) var firstID: LedgerID?
  /// The last entry's id; nil before the first.
  public private(set) var lastID: LedgerID?
  /// The running digest after the last line.
  public private(set) var digest = ""
  /// Whether the end was read.
  public private(set) var isComplete = false
  private var lineNumber = 0

  /// Before the first line.
  public init() {}

  /// Reads the next line.
  /// - Parameter line: without its newline.
  /// - Returns: the entry in it; nil for the header and the end.
  /// - Throws: `ExportError` that names the entry when the line is not as it was written.
  public mutating func read(_ line: [UInt8]) throws(ExportError) -> (id: LedgerID, fields: [String: String])?
  {
    lineNumber += 1
    guard !isComplete else { throw ExportError("line \(lineNumber): more lines than were written") }
    let json = try? JSON(parsing: Data(line))
    if let end = json?["end"] {
      try finish(end)
      return nil
    }
    let name = json?["id"]?.text
    guard let (body, chain) = SegmentFormat.parts(line), let json else { throw altered(name, nil) }
    let expected = SegmentFormat.chain(digest, body)
    guard chain == expected else { throw altered(name, expected) }
    digest = chain
    guard start != nil else {
      try readHeader(json)
      return nil
    }
    return try entry(json)
  }

  private func altered(_ entry: String?, _ expected: String?) -> ExportError {
    let place = entry.map { "entry \($0) (line \(lineNumber))" } ?? "line \(lineNumber)"
    let why = expected.map { "its digest would be \($0.prefix(16))…" } ?? "it is no line of a segment"
    return ExportError("\(place) was altered: \(why)", entry: entry)
  }

  private mutating func readHeader(_ json: JSON) throws(ExportError) {
    guard json["format"]?.text == SegmentFormat.name, let version = json["version"]?.int else {
      throw ExportError("it does not begin with the header of a ledger segment")
    }
    guard version == SegmentFormat.version else {
      throw ExportError(
        "it has layout \(version), and this program reads layout \(SegmentFormat.version)")
    }
    guard let start = json["from"]?.text.flatMap({ SegmentStart($0) }) else {
      throw ExportError("its header does not say where it begins")
    }
    self.start = start
  }

  private mutating func entry(_ json: JSON) throws(ExportError) -> (id: LedgerID, fields: [String: String]) {
    guard let id = json["id"]?.text.flatMap({ LedgerID($0) }), case .object(let members)? = json["fields"]
    else { throw ExportError("line \(lineNumber) holds no ledger entry") }
    if let last = lastID, id <= last {
      throw ExportError("entry \(id) stands behind entry \(last)", entry: id.description)
    }
    entries += 1
    firstID = firstID ?? id
    lastID = id
    return (id, members.compactMapValues(\.text))
  }

  private mutating func finish(_ end: JSON) throws(ExportError) {
    guard end["entries"]?.int == entries, end["digest"]?.text == digest else {
      throw ExportError(
        "it holds \(entries) entries, and its end says \(end["entries"]?.int ?? 0): entries are missing")
    }
    isComplete = true
  }

  /// Reads a whole file, a part at a time.
  /// - Throws: `ExportError`, from here or from `visit`.
  public static func read(
    path: String, _ visit: (LedgerID, [String: String]) throws(ExportError) -> Void
  ) throws(ExportError) -> SegmentReader {
    var reader = SegmentReader()
    do throws(ExportError) {
      try Lines.forEach(path) { line throws(ExportError) in
        if let entry = try reader.read(line) { try visit(entry.id, entry.fields) }
      }
      guard reader.isComplete else { throw ExportError("it ends in the middle") }
    } catch {
      throw ExportError("\(path): \(error.description)", entry: error.entry)
    }
    return reader
  }
}

/// The lines of a file, with bounded memory.
enum Lines {
  private static let partBytes = 1 << 20

  static func forEach(
    _ path: String, _ visit: ([UInt8]) throws(ExportError) -> Void
  ) throws(ExportError) {
    guard let file = FileHandle(forReadingAtPath: path) else { throw ExportError("cannot be read") }
    defer { try? file.close() }
    var rest: [UInt8] = []
    while true {
      let part: Data?
      do { part = try file.read(upToCount: partBytes) } catch { throw ExportError("cannot be read") }
      guard let part, !part.isEmpty else { break }
      let bytes = rest + Array(part)
      var start = 0
      while let end = bytes[start...].firstIndex(of: SegmentFormat.newline) {
        try visit(Array(bytes[start..<end]))
        start = end + 1
      }
      rest = Array(bytes[start...])
      guard rest.count <= SegmentFormat.lineMaxBytes else {
        throw ExportError("a line has more than \(SegmentFormat.lineMaxBytes >> 20) MB")
      }
    }
    if !rest.isEmpty { try visit(rest) }
  }
}
