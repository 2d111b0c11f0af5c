import Common
import Foundation
import TestSupport
import Testing

@testable import Aggregator

private struct Killed: Error {}

@Suite("What a close leaves behind")
struct ExportTests {
  @IO private static func options(_ folder: String) -> AggregatorOptions {
    var options = Pipeline.options
    options.exportDirectory = folder
    return options
  }

  /// Three periods with failures, missing verdicts and one period without weights.
  @IO private static func runPeriods(_ pipeline: inout Pipeline) async throws {
    for number in 1...3 {
      try await pipeline.runPeriod(
        number, outcome: { miner in miner == 2 && number == 2 ? .serverError : .ok },
        score: { miner in 1 - Double(miner) / 7 })
    }
  }

  /// Runs `body` with the folder that an aggregator filled over three periods.
  @IO private static func withExport(_ body: @IO (Pipeline, ExportDirectory) async throws -> Void)
    async throws
  {
    try await Pipeline.with { pipeline in
      try await runPeriods(&pipeline)
      let fixed = pipeline
      try await withFolder { folder in
        try await fixed.aggregate(results: 3, options(folder))
        try await body(fixed, ExportDirectory(folder))
      }
    }
  }

  private static func problem(
    _ number: Int, _ directory: ExportDirectory
  ) -> ExportError? {
    do throws(ExportError) {
      _ = try Replay.run(PeriodID(startSeconds: number * 3600), in: directory)
      return nil
    } catch { return error }
  }

  private static func text(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  private static func files(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    return Dictionary(
      uniqueKeysWithValues: names.map {
        ($0, FileManager.default.contents(atPath: "\(folder)/\($0)") ?? Data())
      })
  }

  @Test("replays bit for bit, period by period, to what Redis holds")
  @IO func replays() async throws {
    try await Self.withExport { pipeline, directory in
      let results = try await pipeline.results()
      let periods = try directory.periods()
      #expect(periods.map(\.startSeconds) == [3600, 7200, 10800])
      for (period, published) in zip(periods, results) {
        let agreement = try Replay.run(period, in: directory)
        #expect(agreement.text == published)
        #expect(agreement.result.weights != nil)
      }
      let about = try await pipeline.hash(.weightsMeta)
      let last = try Replay.run(periods[2], in: directory)
      #expect(about["segment_digest"] == last.segment.digest && about["export_error"] == "")
      #expect(about["segment_last_id"] == about["last_id"])
      #expect(about["state_digest"] == last.segment.stateDigest)
      // The segments follow each other without a gap, and hold the whole ledger.
      let entries = try await pipeline.queue.readLedger(after: "", limit: 10_000)
      let segments = try periods.map { try Replay.run($0, in: directory).segment }
      #expect(segments.map(\.entries).reduce(0, +) == entries.count)
      #expect(segments[0].from == .beginning)
      #expect(
        segments[1].from == .after(segments[0].lastID) && segments[2].from == .after(segments[1].lastID))
    }
  }

  @Test("names the entry that was altered by hand")
  @IO func alteredEntry() async throws {
    try await Self.withExport { _, directory in
      let path = directory.file(PeriodID(startSeconds: 7200), .segment)
      let lines = try Self.text(path).components(separatedBy: "\n")
      let victim = try #require(lines.firstIndex { $0.contains("\"outcome\":\"server_error\"") })
      var altered = lines
      altered[victim] = lines[victim].replacing("server_error", with: "ok")
      try altered.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
      let id = try #require(try JSON(parsing: Data(lines[victim].utf8))["id"]?.text)
      let problem = try #require(Self.problem(2, directory))
      #expect(problem.entry == id)
      #expect(problem.description.hasPrefix("\(path): entry \(id) (line \(victim + 1)) was altered: "))
      // The others are as they were.
      #expect(Self.problem(1, directory) == nil && Self.problem(3, directory) == nil)
    }
  }

  @Test("an entry altered together with every digest after it does not agree with what was published")
  @IO func rewritten() async throws {
    try await Self.withExport { _, directory in
      let period = PeriodID(startSeconds: 7200)
      let path = directory.file(period, .segment)
      var entries: [LedgerFields] = []
      let reader = try SegmentReader.read(path: path) { id, fields throws(ExportError) in
        var fields = fields
        if fields["outcome"] == "server_error" { fields["outcome"] = "ok" }
        entries.append(LedgerFields(id: id.description, fields: fields.flatMap { [$0.key, $0.value] }))
      }
      let lines = SegmentTests.lines(entries, from: try #require(reader.start))
      let bytes = Data(lines.joined(separator: [SegmentFormat.newline]))
      try bytes.write(to: URL(filePath: path))
      let problem = try #require(Self.problem(2, directory))
      #expect(problem.description.contains("entries were altered and all digests after them rewritten"))
      #expect(
        problem.description.hasSuffix(
          "; what follows: balance.done: published 16, recomputed 24"), "\(problem)")
    }
  }

  @Test("names the miner and the field of a result that was altered, and the weights, and the states")
  @IO func alteredOthers() async throws {
    try await Self.withExport { _, directory in
      func alter(_ number: Int, _ kind: ExportDirectory.Kind, _ from: String, _ to: String) throws -> String {
        let path = directory.file(PeriodID(startSeconds: number * 3600), kind)
        let before = try Self.text(path)
        #expect(before.contains(from), "\(path) has no \(from)")
        let place = try #require(before.firstRange(of: from))
        try before.replacingCharacters(in: place, with: to).write(
          toFile: path, atomically: true, encoding: .utf8)
        let problem = Self.problem(number, directory)?.description ?? "no problem"
        try before.write(toFile: path, atomically: true, encoding: .utf8)
        return problem
      }
      let result = try alter(3, .result, "\"capacity\":20000", "\"capacity\":30000")
      #expect(
        result.hasSuffix(
          "result.json: task chat, miner m1: factors.capacity: published 30000, recomputed 20000"),
        "\(result)")
      let weights = try alter(3, .weights, "\"uid\":11", "\"uid\":99")
      #expect(weights.hasSuffix("weights.json: miner m1: uid: published 99, recomputed 11"), "\(weights)")
      let state = try alter(3, .checkpoint, "\"judged\":", "\"judged\":1")
      #expect(state.contains("its state has another digest than its first line says"), "\(state)")
      let header = try alter(3, .checkpoint, "\"state_digest\":\"", "\"state_digest\":\"0")
      #expect(header.contains("another digest"), "\(header)")
      #expect(Self.problem(3, directory) == nil)
    }
  }

  @Test("a period without its predecessor, or unknown, is said to be so")
  @IO func missing() async throws {
    try await Self.withExport { _, directory in
      try FileManager.default.removeItem(atPath: directory.file(PeriodID(startSeconds: 3600), .checkpoint))
      let gap = try #require(Self.problem(2, directory))
      #expect(gap.description.contains("lacks the checkpoint of the close before"))
      let unknown = try #require(Self.problem(9, directory))
      #expect(unknown.description.hasSuffix("holds no period 32400; it holds 3, from 3600 to 10800"))
    }
  }

  @Test("killed at any step and resumed, the files are the same byte for byte")
  @IO func killed() async throws {
    try await Pipeline.with { pipeline in
      try await Self.runPeriods(&pipeline)
      let fixed = pipeline
      try await withFolder { folder in
        var exports = 0
        for life in 0..<60 {
          let service = try fixed.service(Self.options(folder + "/killed"))
          var steps = 1 + life % 9
          service.onStep = { step in
            // Each period's first export is never published.
            if step == .exported {
              exports += 1
              if exports % 2 == 1 { throw Killed() }
            }
            steps -= 1
            if steps == 0 { throw Killed() }
          }
          do { try await service.run(until: Signal()) } catch is Killed {}
          try await fixed.endRole()
          if try await fixed.results().count == 3 { break }
        }
        try await fixed.aggregate(results: 3, Self.options(folder + "/killed"))
        #expect(exports >= 2, "no life ended between the files and the publication")
        // The same ledger from the beginning, without a hitch.
        for key in [Keys.Fixed.fold, .weights, .weightsMeta, .weightsHistory] {
          _ = try await fixed.queue.redis.send("DEL", fixed.queue.keys.fixed(key))
        }
        try await fixed.aggregate(results: 3, Self.options(folder + "/whole"))
        let (killed, whole) = try (Self.files(folder + "/killed"), Self.files(folder + "/whole"))
        #expect(whole.count == 12)
        #expect(killed == whole)
      }
    }
  }

  @Test("two aggregators with one folder leave what one leaves")
  @IO func two() async throws {
    try await Pipeline.with { pipeline in
      try await Self.runPeriods(&pipeline)
      let fixed = pipeline
      try await withFolder { folder in
        let stopping = Signal()
        let services = [try fixed.service(Self.options(folder)), try fixed.service(Self.options(folder))]
        for service in services {
          service.onStep = { _ in if try await fixed.results().count >= 3 { stopping.fire() } }
        }
        async let first: Void = services[0].run(until: stopping)
        async let second: Void = services[1].run(until: stopping)
        _ = try await (first, second)
        let directory = ExportDirectory(folder)
        for number in 1...3 { #expect(Self.problem(number, directory) == nil) }
        #expect(try Self.files(folder).count == 12)
      }
    }
  }

  @Test("who loses the role before the files take their names leaves none, and publishes nothing")
  @IO func lostRole() async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.runPeriod(1)
      let fixed = pipeline
      try await withFolder { folder in
        let exporter = PeriodExporter(directory: folder, keptPeriods: 5, queue: fixed.queue)
        var state = FoldState()
        let result = try #require(
          try await fixed.queue.readLedger(after: "", limit: 1000).compactMap { record in
            record.entry.flatMap { state.apply($0, id: record.id) }
          }.first)
        let exported = try await exporter.export(
          result, state: Array(try state.encoded()), from: .beginning, stillLeads: { false })
        #expect(exported == nil)
        #expect(try Self.files(folder).isEmpty)
      }
    }
  }

  @Test("a folder that cannot be written does not hold up the weights, and says why")
  @IO func unwritable() async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.runPeriod(1)
      try await pipeline.aggregate(results: 1, Self.options("/dev/null/exports"))
      let about = try await pipeline.hash(.weightsMeta)
      #expect(about["outcome"] == "set" && about["segment_digest"] == nil)
      #expect(about["export_error"]?.hasPrefix("cannot make the folder /dev/null/exports: ") == true)
      let weights = try await pipeline.hash(.weights)
      #expect(weights.count == 3)
    }
  }

  @Test("keeps as many periods as it is told, and what the oldest of them begins with")
  @IO func retention() async throws {
    try await Pipeline.with { pipeline in
      try await Self.runPeriods(&pipeline)
      let fixed = pipeline
      try await withFolder { folder in
        try "left behind".write(
          toFile: folder + "/period-1.result.json.9.tmp", atomically: true, encoding: .utf8)
        let long = Date(timeIntervalSince1970: Double(WallClock.nowMilliseconds()) / 1000 - 7200)
        try FileManager.default.setAttributes(
          [.modificationDate: long], ofItemAtPath: folder + "/period-1.result.json.9.tmp")
        var options = Self.options(folder)
        options.exportKeptPeriods = 1
        try await fixed.aggregate(results: 3, options)
        let names = try Self.files(folder).keys.sorted()
        #expect(
          names == [
            "period-10800.checkpoint.json", "period-10800.result.json", "period-10800.segment.jsonl",
            "period-10800.weights.json", "period-7200.checkpoint.json",
          ])
        #expect(Self.problem(3, ExportDirectory(folder)) == nil)
      }
    }
  }
}
