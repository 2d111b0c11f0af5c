import Aggregator
import Common
import Foundation

/// `vision ledger export`: a part of the ledger as a segment, on demand.
enum LedgerCommand {
  /// Ledger entries read at once.
  private static let pageMax = 1_000

  static let entry = VisionCommand.Entry(
    name: "ledger", about: "Export the ledger, or a part of it, with a digest for each entry.",
    settings: Connection.settings + [
      Setting(
        "from", .string(maxBytes: 64), default: "-",
        help: "The first entry: its id, '(' and an id for the ones after it, or - for the beginning."),
      Setting(
        "to", .string(maxBytes: 64), default: "+", help: "The last entry's id, or + for the end as it is now."
      ),
      Setting("output", .path, help: "A file, replaced as a whole; without it standard output."),
    ], positionals: [.init("action", help: "export.")], work: run)

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    guard settings.arguments.first == "export" else {
      throw Connection.Failure(
        description: "use: vision ledger export [--from ID] [--to ID] [--output FILE]", exitCode: .usage)
    }
    guard let start = SegmentStart(settings.string("from")) else { throw wrong("from", settings) }
    let end = settings.string("to")
    guard end == "+" || LedgerID(end) != nil else { throw wrong("to", settings) }
    let file = try settings.stringIfSet("output").map { try AtomicFile(replacing: $0) }
    do {
      let segment = try await Connection.withQueue(settings) { queue in
        try await write(from: start, to: end, queue, file)
      }
      try file?.commit()
      FileHandle.standardError.write(
        Data("\(segment.entries) entries, digest \(segment.digest)\n".utf8))
      return .ok
    } catch {
      file?.discard()
      throw error
    }
  }

  private static func wrong(_ name: String, _ settings: Settings) -> Connection.Failure {
    Connection.Failure(
      description: "--\(name) \(settings.string(name)): must be an entry's id, such as 1732288800123-0",
      exitCode: .usage)
  }

  @IO private static func write(
    from start: SegmentStart, to end: String, _ queue: JobQueue, _ file: AtomicFile?
  ) async throws -> SegmentWriter {
    func put(_ bytes: [UInt8]) throws {
      if let file {
        try file.write(bytes)
      } else {
        try FileHandle.standardOutput.write(contentsOf: Data(bytes))
      }
    }
    var writer = SegmentWriter(from: start)
    try put(writer.headerLine)
    // What is added from now on is not waited for.
    let newest = try await queue.redis.send("XREVRANGE", queue.keys.fixed(.ledger), "+", "-", "COUNT", "1")
    let last = end == "+" ? newest[0]?[0]?.text ?? end : end
    var next = start.description
    while true {
      let page = try await queue.readLedgerFields(from: next, to: last, limit: pageMax)
      for entry in page { try put(writer.line(entry)) }
      guard let read = page.last, page.count == pageMax else { break }
      next = "(" + read.id
    }
    try put(writer.endLine)
    return writer
  }
}
