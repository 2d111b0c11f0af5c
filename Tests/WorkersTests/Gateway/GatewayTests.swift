import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("Gateways in other languages", .timeLimit(.minutes(3)))
struct GatewayTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "examples/gateway").path()

  /// The first Python that has a Redis client.
  @IO func python() async throws -> String? {
    for path in ["/usr/bin/python3", "/usr/local/bin/python3"]
    where FileManager.default.isExecutableFile(atPath: path) {
      let probe = try await BuiltProgram.run(ChildCommand([path, "-c", "import redis"]))
      if probe.code == 0 { return path }
    }
    return nil
  }

  @Test("a stock Python client finds what docs/GATEWAY.md says")
  @IO func conformance() async throws {
    let python = try #require(
      try await python(), "no Python with a Redis client: install python3-redis (scripts/bootstrap --tests)")
    try await OrganicBench.run(miners: 2) { bench in
      for miner in bench.miners { miner.paceMilliseconds = 10 }
      try await bench.withWorker {
        let outcome = try await BuiltProgram.run(
          ChildCommand(
            [python, "conformance.py", try TestRedis.url, bench.namespace, OrganicBench.chat],
            adding: try TestRedis.environment(as: .gateway),
            folder: GatewayTests.folder))
        #expect(outcome.code == 0 && outcome.output == "conforms\n", "\(outcome.errors)")
      }
    }
  }

  @Test(
    "OpenAI's client works with the example, and a killed gateway loses nothing",
    .enabled(if: ProcessInfo.processInfo.environment["VISION_TEST_GATEWAY_PYTHON"] != nil))
  @IO func openAI() async throws {
    let python = try #require(ProcessInfo.processInfo.environment["VISION_TEST_GATEWAY_PYTHON"])
    try await OrganicBench.run(miners: 2, firstContent: 5_000, stall: 5_000) { bench in
      for miner in bench.miners {
        miner.paceMilliseconds = 50
        miner.act = { _ in .answer(40) }
      }
      try await bench.withWorker {
        let outcome = try await BuiltProgram.run(
          ChildCommand(
            [python, "test_openai.py", try TestRedis.url, bench.namespace, OrganicBench.chat],
            adding: try TestRedis.environment(as: .gateway),
            folder: GatewayTests.folder))
        #expect(outcome.code == 0 && outcome.output.hasPrefix("gateway works"), "\(outcome.errors)")
        print(outcome.output, terminator: "")
      }
    }
  }
}
