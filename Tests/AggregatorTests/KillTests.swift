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
      let socket = try #require(TestRedis.url.hasPrefix("unix://") ? TestRedis.url.dropFirst(7) : nil)
      let proxy = try KillingProxy(upstream: String(socket), killsAt: command, side)
      defer { proxy.close() }
      let namespace = String(pipeline.queue.keys.prefix.dropLast(":{q}:".count))
      var variables = try TestRedis.environment(as: .aggregator)
      variables["VISION_REDIS_URL"] = proxy.url
      let program = ChildCommand(
        [BuiltProgram("vision-aggregator").path, "--namespace", namespace], adding: variables)
      let child = try ChildProcess(program, stdout: .discarded, stderr: .discarded)
      proxy.watch(child.pid)
      let status = await child.exitStatus()
      #expect(status == .signalled(SIGKILL), "command \(command)")
      let isDone = try await pipeline.results().count == 2
      try await pipeline.endRole()
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
}
