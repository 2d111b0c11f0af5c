import Common
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("The demo and its processes", .timeLimit(.minutes(2)))
struct DemoRunTests {
  /// Longer than any of these tests takes.
  private static let flags = ["--period", "60"]

  /// Runs `body` once the demo's period has begun, then expects it to end with `code` within five seconds,
  /// and with nothing left of it. Returns what it complained of.
  @IO private func failing(
    _ flags: [String], adding variables: [String: String] = [:], inMidRun: Bool = false,
    code: ExitCode = .failed, _ body: @IO (DemoRun, [Int32: String]) throws -> Void
  ) async throws -> String {
    let run = try DemoRun(flags, adding: variables)
    do {
      // The live view's first line comes when queries are running.
      try await run.until {
        inMidRun ? run.output.contains("settled") : run.log("producer-1").contains("period scheduled")
      }
      let children = run.children()
      let began = Monotonic.now()
      try body(run, children)
      #expect(await run.process.waitForExit() == .exited(code.rawValue))
      #expect(Monotonic.now() < began.advanced(milliseconds: 5_000))
      #expect(children.filter { !DemoRun.isGone($0.key) } == [:])
      #expect(run.leftovers == [])
      // Beside log lines there is one for people.
      let errors = run.errors.split(separator: "\n").filter { !$0.hasPrefix("time=") }
      await run.close()
      return errors.joined(separator: "\n") + "\n"
    } catch {
      await run.close()
      throw error
    }
  }

  @Test("an interrupted demo ends all its processes within five seconds and leaves nothing behind")
  @IO func interrupted() async throws {
    let errors = try await failing(Self.flags, inMidRun: true, code: .interrupted) { run, children in
      let names = children.values.sorted()
      #expect(names.count == 8, "\(names)")
      #expect(names.contains { $0.hasPrefix("redis-server") })
      run.process.signal(SIGINT)
    }
    #expect(errors == "vision demo: stopped before the weights were computed\n")
  }

  @Test("an interrupted demo leaves no lock and no other key in a Redis that it was given")
  @IO func given() async throws {
    try await TestRedis.withClient { redis in
      let errors = try await failing(
        Self.flags, adding: TestRedis.environment(as: .admin), inMidRun: true, code: .interrupted
      ) {
        run, children in
        #expect(children.count == 7, "\(children.values.sorted())")
        run.process.signal(SIGINT)
      }
      #expect(errors == "vision demo: stopped before the weights were computed\n")
      #expect(try await TestRedis.keys(redis, prefix: "vision-demo-") == [])
    }
  }

  @Test(
    "when one of its processes dies, the demo says which, ends all others and fails",
    arguments: [
      ("vision-aggregator", "aggregator-1"), ("vision-simulator miners", "miners"),
      ("vision-producer", "producer-1"), ("redis-server", "redis"),
    ])
  @IO func failingChild(program: String, name: String) async throws {
    let errors = try await failing(Self.flags) { _, children in
      let victims = children.filter { $0.value.hasPrefix(program) }.keys
      try #require(victims.count == 1, "\(children)")
      kill(victims[victims.startIndex], SIGKILL)
    }
    #expect(errors == "vision demo: \(name) ended by itself: signal 9\n")
  }

  @Test("without its checking server the demo goes on: checks are tried again, and quality stays as it was")
  @IO func withoutChecker() async throws {
    let run = try DemoRun(["--period", "10", "--stop-checker-after", "4", "--keep"])
    _ = await run.process.waitForExit()
    let output = run.output
    let complaints = run.log("checker-worker").split(separator: "\n").filter {
      $0.contains("checking server fails")
    }
    let errors = run.errors
    await run.close()
    #expect(output.contains("the checking server was killed"))
    #expect(complaints.count > 1 && complaints.allSatisfy { $0.contains("retry_ms=") })
    let planned = try #require(output.firstMatch(of: /planned (\d+) = done (\d+)/), "\(output)\(errors)")
    #expect(Int(planned.1) ?? 0 > 0 && Int(planned.2) ?? 0 > 0)
    let checks = try #require(output.firstMatch(of: /checks (\d+) judged, .*; (\d+) of (\d+) claims/))
    #expect(Int(checks.1) ?? 0 > 0)
    #expect((1...(Int(checks.3) ?? 0)).contains(Int(checks.2) ?? 0))
    #expect(output.contains("replay: 1 of 1 periods bit-equal"))
    // Ten seconds are too short to tell miners apart; all else holds.
    let problems = output.split(separator: "\n").filter { $0.hasPrefix("PROBLEM") }
      .filter { !$0.contains("rank correlation") && !$0.contains("earns no less") }
    #expect(problems == [])
  }
}
