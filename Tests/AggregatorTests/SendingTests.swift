import Common
import Foundation
import TestSupport
import Testing

@testable import Aggregator

@Suite("Sending weights")
struct SendingTests {
  /// Records each input in a file of its own, and fails until `successes` have come.
  static func recorder(_ folder: String, failures: Int) -> String {
    "n=$(ls '\(folder)' | wc -l); cat > '\(folder)'/try.$n; [ $n -ge \(failures) ] || { echo no >&2; exit 3; }"
  }

  /// Runs an aggregator until it reported weights as sent, or as failed `failures` times.
  @IO static func aggregate(
    _ pipeline: Pipeline, _ options: AggregatorOptions, failures: Int = .max
  ) async throws -> [SendStatus] {
    let service = try pipeline.service(options)
    let stopping = Signal()
    var reports: [SendStatus] = []
    service.onStatus = { status in
      reports.append(status)
      if status.sentAtMilliseconds != nil || status.failures >= failures { stopping.fire() }
    }
    try await service.run(until: stopping)
    return reports
  }

  @Test("the command gets the weights, also when it fails twice first; the file holds the same")
  @IO func sent() async throws {
    try await withFolder { folder in
      try await withFolder { files in
        try await Pipeline.with { pipeline in
          try await pipeline.runPeriod(1)
          var options = Pipeline.options
          options.weightsCommand = Self.recorder(folder, failures: 2)
          options.weightsFile = files + "/weights.json"
          let reports = try await Self.aggregate(pipeline, options)
          #expect(reports.map(\.failures) == [1, 2, 0])
          #expect(reports[1].error.contains("exit code 3") && reports[1].error.contains("no"))
          let file = try Data(contentsOf: URL(fileURLWithPath: files + "/weights.json"))
          for number in 0...2 {
            let input = try Data(contentsOf: URL(fileURLWithPath: folder + "/try.\(number)"))
            #expect(input == file)
          }
          let entries = try FileManager.default.contentsOfDirectory(atPath: files)
          #expect(entries == ["weights.json"])
          let json = try JSONDecoder().decode(JSON.self, from: file)
          guard case .object(let members) = json, case .array(let weights) = members["weights"] else {
            Issue.record("no weights in \(json)")
            return
          }
          #expect(members["version"] == .integer(1) && members["period"] == .integer(3600))
          #expect(weights.count == 3)
          let about = try await pipeline.hash(.weightsMeta)
          #expect(about["sent_period"] == "3600" && about["send_error"] == "" && about["sent_at"] != "")
        }
      }
    }
  }

  @Test("the tries end, and what failed is reported; a later start sends what was published")
  @IO func exhausted() async throws {
    try await withFolder { folder in
      try await Pipeline.with { pipeline in
        try await pipeline.runPeriod(1)
        pipeline.miners = 0
        try await pipeline.runPeriod(2)
        var options = Pipeline.options
        options.sendTriesMax = 3
        options.weightsCommand = "cat > /dev/null; exit 1"
        let reports = try await Self.aggregate(pipeline, options, failures: 3)
        #expect(reports.map(\.failures) == [1, 2, 3])
        let about = try await pipeline.hash(.weightsMeta)
        #expect(about["send_failures"] == "3" && about["sent_period"] == "")
        // The newest period set nothing: what is sent is the one before.
        options.weightsCommand = Self.recorder(folder, failures: 0)
        let later = try await Self.aggregate(pipeline, options)
        #expect(later.last?.sentPeriod == PeriodID(startSeconds: 3600))
        let input = try Data(contentsOf: URL(fileURLWithPath: folder + "/try.0"))
        let text = try #require(try await pipeline.results().first)
        let result = try JSONDecoder().decode(PeriodResult.self, from: Data(text.utf8))
        #expect(Array(input) == WeightsDocument(result)?.json)
      }
    }
  }

  @Test("a dry run computes, and neither publishes nor sends")
  @IO func dryRun() async throws {
    try await withFolder { folder in
      try await Pipeline.with { pipeline in
        try await pipeline.runPeriod(1)
        let expected = try await pipeline.expectedResults()
        var options = Pipeline.options
        options.isDryRun = true
        options.weightsCommand = Self.recorder(folder, failures: 0)
        options.weightsFile = folder + "/weights.json"
        try await pipeline.aggregate(results: 1, options)
        let results = try await pipeline.results()
        #expect(results == expected)
        let weights = try await pipeline.hash(.weights)
        #expect(weights.isEmpty)
        let about = try await pipeline.hash(.weightsMeta)
        #expect(about["outcome"] == "dry_run" && about["weights_period"] == "")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(files.isEmpty)
      }
    }
  }

  @Test("newer weights take the place of those that are still tried")
  @IO func replaced() async throws {
    try await withFolder { folder in
      var options = Pipeline.options
      options.firstRetryMilliseconds = 3_600_000
      options.weightsCommand = Self.recorder(folder, failures: 1)
      let sender = WeightsSender(options: options, log: .silent)
      let (failed, sent) = (Signal(), Signal())
      sender.onStatus = { status in
        if status.sentPeriod == nil { failed.fire() } else { sent.fire() }
      }
      let documents = try Self.documents()
      sender.offer(documents[0])
      await failed.wait()
      sender.offer(documents[1])
      await sent.wait()
      await sender.finish()
      #expect(sender.status.sentPeriod == documents[1].period)
      let input = try Data(contentsOf: URL(fileURLWithPath: folder + "/try.1"))
      #expect(Array(input) == documents[1].json)
    }
  }

  @Test("a command that hangs is ended at its limit, and a missing folder is said")
  @IO func hanging() async throws {
    var options = Pipeline.options
    options.sendTriesMax = 1
    options.commandMilliseconds = 50
    options.weightsCommand = "sleep 60"
    options.weightsFile = "/nonexistent/weights.json"
    let sender = WeightsSender(options: options, log: .silent)
    let failed = Signal()
    sender.onStatus = { _ in failed.fire() }
    sender.offer(try Self.documents()[0])
    await failed.wait()
    #expect(sender.status.error.contains("longer than 50 ms"))
    #expect(sender.status.error.contains("cannot make /nonexistent/weights.json"))
    #expect(sender.status.failures == 1 && sender.status.sentPeriod == nil)
  }

  static func documents() throws -> [WeightsDocument] {
    var script = LedgerScript()
    for hour in 1...2 {
      script.append(.opened(.make(hour * 3600)))
      script.append(.attempt(.make(hour * 3600)))
      script.judge(.make(hour * 3600), 1)
      script.append(.closed(PeriodID(startSeconds: hour * 3600)))
    }
    return try script.results.map { try #require(WeightsDocument($0)) }
  }
}
