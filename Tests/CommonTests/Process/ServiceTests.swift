import Foundation
import Glibc
import Testing

@testable import Common

@Suite("A program", .timeLimit(.minutes(1)))
struct ServiceTests {
  @IO private func run(_ arguments: [String], adding: [String: String] = [:]) async throws -> ChildResult {
    try await ChildProcess.run(
      ChildCommand([Fixture.program] + arguments, adding: adding),
      limits: ChildLimits(stdoutMaxBytes: 100_000, stderrMaxBytes: 100_000, timeoutMilliseconds: 30_000))
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test("drains at the first signal and ends with 0", arguments: [SIGTERM, SIGINT])
  @IO func drains(signal: Int32) async throws {
    let fixture = try Fixture("drain")
    #expect(await fixture.line() == "ready")
    fixture.child.signal(signal)
    #expect(await fixture.line() == "drained")
    #expect(await fixture.child.waitForExit() == .exited(ExitCode.ok.rawValue))
  }

  @Test("ends at once with 130 at the second signal")
  @IO func interrupted() async throws {
    let fixture = try Fixture("ignore")
    #expect(await fixture.line() == "ready")
    fixture.child.signal(SIGINT)
    #expect(await fixture.line() == "stopping")
    fixture.child.signal(SIGTERM)
    #expect(await fixture.child.waitForExit() == .exited(ExitCode.interrupted.rawValue))
  }

  @Test("hands SIGHUP to whoever wants it, and otherwise does not mind")
  @IO func hangup() async throws {
    let wants = try Fixture("hangup")
    #expect(await wants.line() == "ready")
    wants.child.signal(SIGHUP)
    #expect(await wants.child.waitForExit() == .exited(ExitCode.failed.rawValue))
    let doesNot = try Fixture("drain")
    #expect(await doesNot.line() == "ready")
    doesNot.child.signal(SIGHUP)
    doesNot.child.signal(SIGTERM)
    #expect(await doesNot.line() == "drained")
    #expect(await doesNot.child.waitForExit() == .exited(0))
  }

  @Test("says in one line what it does not understand, and ends with 2")
  @IO func usage() async throws {
    let result = try await run(["--log-level", "loud", "drain"])
    #expect(result.status == .exited(ExitCode.usage.rawValue))
    #expect(
      text(result.stderr) == "fixture: --log-level loud: must be one of debug, info, warning, error\n")
    let unknown = try await run(["drain"], adding: ["VISION_LOG_LEVLE": "info"])
    #expect(unknown.status == .exited(2))
    #expect(
      text(unknown.stderr)
        == "fixture: unknown environment variable VISION_LOG_LEVLE; did you mean VISION_LOG_LEVEL?\n")
  }

  @Test("says in one line what went wrong, and ends with the error's code")
  @IO func failures() async throws {
    let broken = try await run(["break"])
    #expect(broken.status == .exited(ExitCode.failed.rawValue))
    #expect(text(broken.stderr) == "fixture: broken\\nin two\n")
    #expect(try await run(["miss"]).status == .exited(ExitCode.unavailable.rawValue))
  }

  @Test("prints help and version to stdout and ends with 0")
  @IO func help() async throws {
    let help = try await run(["--help"])
    #expect(help.status.isSuccess && help.stderr.isEmpty)
    #expect(text(help.stdout).contains("Usage: fixture [--setting value]... <behaviour>"))
    #expect(text(try await run(["--version"]).stdout) == "fixture \(Version.current)\n")
  }

  @Test("logs as it is told, and loses no count at its end")
  @IO func log() async throws {
    let result = try await run(["log"], adding: ["VISION_LOG_FORMAT": "json"])
    let lines = text(result.stderr).split(separator: "\n")
    #expect(lines.allSatisfy { $0.hasPrefix("{\"time\":") })
    let suppressed = lines.compactMap { $0.split(separator: "\"suppressed\":").dropFirst().first?.dropLast() }
    // The second may change in between: told and counted are all there either way.
    let counted = suppressed.compactMap { Int($0) }.reduce(0, +)
    #expect(lines.count - suppressed.count + counted == Log.repeatsMax + 3)
  }

  @Test("keeps its health file while it runs, and takes it away")
  @IO func health() async throws {
    let path = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
    let fixture = try Fixture("drain", arguments: ["--health-file", path])
    #expect(await fixture.line() == "ready")
    var status = stat()
    #expect(stat(path, &status) == 0)
    #expect(abs(status.st_mtim.tv_sec - WallClock.nowMilliseconds() / 1000) <= 10)
    fixture.child.signal(SIGTERM)
    #expect(await fixture.child.waitForExit() == .exited(0))
    #expect(stat(path, &status) != 0)
  }
}
