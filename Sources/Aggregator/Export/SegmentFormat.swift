import Common

/// The layout of an exported part of the ledger, and the digests in it. docs/REPLAY.md describes it.
///
/// A segment is a text of JSON lines: a header, one line for each ledger entry with its fields as they stand
/// in Redis, and an end. Each line but the last carries a running digest, `chain`: SHA-256 of the digest of
/// the line before (64 hexadecimal digits; nothing for the header) and of this line without its `chain`. So
/// whoever changes an entry breaks the chain at that very line, and the last digest stands for all of them.
public enum SegmentFormat {
  /// What the header's `format` says.
  public static let name = "vision-ledger-segment"
  /// The layout that is written and read.
  public static let version = 1
  /// The most bytes of a line; an `opened` entry carries a whole snapshot.
  public static let lineMaxBytes = 64 << 20

  static let newline = UInt8(ascii: "\n")
  private static let chainStart = Array(",\"chain\":\"".utf8)
  private static let chainEnd = Array("\"}".utf8)
  private static let digestBytes = 64

  /// The digest of a line that follows the digest `previous`.
  static func chain(_ previous: String, _ body: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(Array(previous.utf8))
    hash.update(body)
    return hash.hexDigest()
  }

  /// The line of a JSON object with its digest put in as the last member, and a newline.
  static func line(_ body: [UInt8], chain: String) -> [UInt8] {
    Array(body.dropLast()) + chainStart + Array(chain.utf8) + chainEnd + [newline]
  }

  /// Takes a line (without its newline) apart into the JSON object and its digest; nil when it has none.
  static func parts(_ line: [UInt8]) -> (body: [UInt8], chain: String)? {
    let tail = chainStart.count + digestBytes + chainEnd.count
    guard line.count > tail + 1, line.suffix(chainEnd.count).elementsEqual(chainEnd) else { return nil }
    let start = line.count - tail
    guard line[start..<start + chainStart.count].elementsEqual(chainStart) else { return nil }
    let digest = line[(start + chainStart.count)..<(line.count - chainEnd.count)]
    return (line[..<start] + [UInt8(ascii: "}")], String(decoding: digest, as: UTF8.self))
  }
}

/// Where a segment begins, in the words of Redis's XRANGE.
public enum SegmentStart: Hashable, Sendable, Codable, CustomStringConvertible {
  /// `-`: with the first entry that there is.
  case beginning
  /// `(ID`: after this entry.
  case after(LedgerID)
  /// `ID`: with this entry, or the next one that there is.
  case at(LedgerID)

  /// Reads what `description` prints; nil for anything else.
  public init?(_ text: String) {
    if text == "-" {
      self = .beginning
    } else if text.hasPrefix("("), let id = LedgerID(text.dropFirst()) {
      self = .after(id)
    } else if let id = LedgerID(text) {
      self = .at(id)
    } else {
      return nil
    }
  }

  /// As XRANGE takes it.
  public var description: String {
    switch self {
    case .beginning: return "-"
    case .after(let id): return "(\(id)"
    case .at(let id): return id.description
    }
  }

  /// Reads the text form.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let start = SegmentStart(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a start of a segment")
    }
    self = start
  }

  /// Writes the text form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// What a published result says of the part of the ledger that it follows from: enough to hold an export of
/// it, and the states before and after, against the publication.
public struct SegmentReference: Codable, Equatable, Sendable {
  /// Where the segment begins: after the close before.
  public var from: SegmentStart
  /// Its first entry.
  public var firstID: LedgerID
  /// Its last entry: the one that closed the period.
  public var lastID: LedgerID
  /// Its entries.
  public var entries: Int
  /// The running SHA-256 after the last entry.
  public var digest: String
  /// SHA-256 of the fold state right after the close.
  public var stateDigest: String

  enum CodingKeys: String, CodingKey {
    case from, entries, digest
    case firstID = "first_id"
    case lastID = "last_id"
    case stateDigest = "state_digest"
  }
}

/// Writes a segment piece by piece. The same entries give the same bytes.
public struct SegmentWriter: Sendable {
  /// Entries so far.
  public private(set) var entries = 0
  /// The first entry's id; nil before it.
  public private(set) var firstID: String?
  /// The last entry's id; nil before the first.
  public private(set) var lastID: String?
  /// The running digest after the last line.
  public private(set) var digest: String
  private let header: [UInt8]

  /// Begins a segment.
  public init(from start: SegmentStart) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("format", SegmentFormat.name)
    writer.member("version", SegmentFormat.version)
    writer.member("from", start.description)
    writer.endObject()
    header = writer.bytes
    digest = SegmentFormat.chain("", writer.bytes)
  }

  /// The first line.
  public var headerLine: [UInt8] { SegmentFormat.line(header, chain: SegmentFormat.chain("", header)) }

  /// The line of the next entry.
  public mutating func line(_ entry: LedgerFields) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("id", entry.id)
    writer.key("fields")
    writer.beginObject()
    for index in stride(from: 0, to: entry.fields.count - 1, by: 2) {
      writer.key(text: entry.fields[index])
      writer.string(entry.fields[index + 1])
    }
    writer.endObject()
    writer.endObject()
    digest = SegmentFormat.chain(digest, writer.bytes)
    entries += 1
    firstID = firstID ?? entry.id
    lastID = entry.id
    return SegmentFormat.line(writer.bytes, chain: digest)
  }

  /// The last line: what the segment holds, so that a part of one is not taken for the whole.
  public var endLine: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("end")
    writer.beginObject()
    writer.member("entries", entries)
    writer.member("first_id", firstID ?? "")
    writer.member("last_id", lastID ?? "")
    writer.member("digest", digest)
    writer.endObject()
    writer.endObject()
    return writer.bytes + [SegmentFormat.newline]
  }
}
