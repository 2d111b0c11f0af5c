import Common
import Foundation
import TestSupport
import Testing

/// Some cases of `scripts/chaos`, small. Safety and that progress resumes are asserted; measurements, which a
/// busy machine makes worse, are not: those figures carry a unit.
@Suite("Under a fault", .timeLimit(.minutes(5)), .serialized)
struct ChaosCaseTests {
  private static let cases: [(name: String, flags: [String])] = [
    ("kill-at-calls", ["--times", "1"]), ("worker-pause", ["--times", "2"]),
    ("rolling-restart", ["--times", "2"]), ("redis-kill-always", ["--times", "2"]),
    ("lost-replies", ["--times", "3"]), ("flush", ["--times", "1"]), ("memory-full", ["--minutes", "0.1"]),
  ]

  @Test("nothing is lost, nothing counts twice, and work goes on", arguments: cases.map(\.name))
  @IO func holds(name: String) async throws {
    let flags = try #require(ChaosCaseTests.cases.first { $0.name == name }).flags
    let run = try await ChaosRun.run([name, "--json"] + flags)
    let promises = run.figures.filter { $0.unit.isEmpty && $0.holds != nil }
    #expect(promises.count >= 4, "\(run.errors)")
    for figure in promises {
      #expect(figure.holds == true, "\(figure.promise): \(figure.value), seed \(figure.seed)\n\(run.errors)")
    }
  }

  @Test("a name that is none is refused with one line")
  @IO func unknown() async throws {
    let run = try await ChaosRun.run(["no-such-case"])
    #expect(run.code == 2)
    #expect(run.errors == "vision-chaos: no case 'no-such-case'; --list names them\n")
  }

  @Test("the list has every case with its number, name and a line about it")
  @IO func list() async throws {
    let run = try await ChaosRun.run(["--list"])
    #expect(run.code == 0)
    for each in ChaosCaseTests.cases { #expect(run.output.contains("  \(each.name)  ")) }
  }
}
