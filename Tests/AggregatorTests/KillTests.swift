@testable import Common
import Foundation
import TestSupport
import Testing

@testable import Aggregator

/// The real program, killed with SIGKILL at each of its commands to Redis in turn, which is at every wait
/// between reading the ledger and saving the state.
@Suite("An aggregator that is killed")
struct KillTests {
  @Test("changes no weight, at whichever command it dies", arguments: KillingProxy.Side.allCases)
  @IO func everyCommand(side: KillingProxy.Side) async throws {
    var command = 1
    var (lost, whole) = (0, 0)
    while true {
      let isDone = try await life(diesAt: command, side)
      if isDone { whole += 1 } else { lost += 1 }
      if isDone { break }
      command += 1
      try #require(command < 100, "it never comes to its end")
    }
    // Reading the state, the ledger and saving twice are more commands than these.
    #expect(lost >= 6 && whole == 1)
  }

  /// One life of the program up to its death, and another aggregator's to the end. Whether the first one had
  /// published all.
  @IO private func life(diesAt command: Int, _ side: KillingProxy.Side) async throws -> Bool {
    try await Pipeline.with { pipeline in
      for number in 1...2 { try await pipeline.runPeriod(number, score: { 1 - Double($0) / 7 }) }
      let expected = try await pipeline.expectedResults()
      let isDone = try await Self.runAndDie(pipeline, at: command, side)
      try await pipeline.aggregate(results: 2)
      let results = try await pipeline.results()
      #expect(results == expected, "command \(command)")
      var state = FoldState()
      let ledger = try await pipeline.queue.readLedger(after: "", limit: 100_000)
      for record in ledger { if let entry = record.entry { state.apply(entry, id: record.id) } }
      let saved = try await pipeline.queue.savedFold()
      let bits = try state.encoded()
      #expect(saved?.cursor == ledger.last?.id && saved?.state == Array(bits), "command \(command)")
      return isDone
    }
  }

  /// Runs the program up to its death, and ends its role. Whether it had published all.
  @IO private static func runAndDie(
    _ pipeline: Pipeline, at command: Int, _ side: KillingProxy.Side, _ flags: [String] = []
  ) async throws -> Bool {
    let socket = try #require(TestRedis.url.hasPrefix("unix://") ? TestRedis.url.dropFirst(7) : nil)
    let proxy = try KillingProxy(upstream: String(socket), killsAt: command, side)
    defer { proxy.close() }
    let namespace = String(pipeline.queue.keys.prefix.dropLast(":{q}:".count))
    var variables = try TestRedis.environment(as: .aggregator)
    variables["VISION_REDIS_URL"] = proxy.url
    let program = ChildCommand(
      [BuiltProgram("vision-aggregator").path, "--namespace", namespace] + flags, adding: variables)
    let child = try ChildProcess(program, stdout: .discarded, stderr: .discarded)
    proxy.watch(child.pid)
    let status = await child.exitStatus()
    #expect(status == .signalled(SIGKILL), "command \(command)")
    let isDone = try await pipeline.results().count == 2
    try await pipeline.endRole()
    return isDone
  }

  @Test("leaves the files of each close as one that lives does, at whichever command it dies")
  @IO func exports() async throws {
    for command in 1...100 {
      let isDone = try await Pipeline.with { pipeline in
        for number in 1...2 { try await pipeline.runPeriod(number, score: { 1 - Double($0) / 7 }) }
        let fixed = pipeline
        return try await withFolder { folder in
          var options = Pipeline.options
          options.exportDirectory = folder + "/killed"
          let isDone = try await Self.runAndDie(
            fixed, at: command, .after, ["--export-directory", folder + "/killed"])
          try await fixed.aggregate(results: 2, options)
          let results = try await fixed.results()
          // The same ledger from the beginning, without a hitch.
          for key in [Keys.Fixed.fold, .weights, .weightsMeta, .weightsHistory] {
            _ = try await fixed.queue.redis.send("DEL", fixed.queue.keys.fixed(key))
          }
          options.exportDirectory = folder + "/whole"
          try await fixed.aggregate(results: 2, options)
          let (killed, whole) = try (Self.files(folder + "/killed"), Self.files(folder + "/whole"))
          #expect(whole.count == 8 && killed == whole, "command \(command)")
          let expected = try await fixed.results()
          #expect(results == expected, "command \(command)")
          return isDone
        }
      }
      if isDone {
        #expect(command > 6)
        return
      }
    }
    Issue.record("it never comes to its end")
  }

  /// What the finished files hold. Unfinished ones of the dead are dropped an hour later.
  private static func files(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
      !$0.hasSuffix(AtomicFile.temporarySuffix)
    }
    let files = names.map { ($0, FileManager.default.contents(atPath: "\(folder)/\($0)") ?? Data()) }
    return Dictionary(uniqueKeysWithValues: files)
  }
}
