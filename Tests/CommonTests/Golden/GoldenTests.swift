import Foundation
import TestSupport
import Testing

@testable import Common

/// Compares this program with what the original validators computed, over every recorded case.
///
/// Each case is in exactly one class: equal; safe (the original raised an error or has a known defect:
/// `safe.json` lists our result and the reason); or replaced on purpose (`GoldenReplaced`).
/// `VISION_GOLDEN_DIR` names another folder of such files. `VISION_GOLDEN_RECORD=<file>` writes the table
/// of safe cases anew, to be read before it is kept.
@Suite("Golden vectors")
struct GoldenTests {
  @Test("every recorded case is equal, safe or replaced, and none is skipped")
  func everyCase() throws {
    let record = ProcessInfo.processInfo.environment["VISION_GOLDEN_RECORD"]
    let table = try GoldenParser.parse(Data(contentsOf: Self.tableURL))
    let shipped = try GoldenFile.all(in: GoldenFile.shippedFolder)
    let given = GoldenFile.namedFolder == nil ? shipped : try GoldenFile.all(in: GoldenFile.namedFolder!)
    let run = try GoldenRun(given, shipped: shipped, table: record == nil ? table : nil)
    if let record { try Self.text(of: run.safe).write(toFile: record, atomically: true, encoding: .utf8) }
    print(run.text)
    #expect(run.problems.isEmpty, "\(run.problems.joined(separator: "\n"))")
    #expect(!given.isEmpty && run.files.map(\.name) == given.map(\.name))
    #expect(run.sum.total == given.reduce(0) { $0 + $1.cases.count })
    #expect(Set(table.members.keys).isSubset(of: shipped.map(\.name)))
  }

  @Test("other files of a known format are run too, whatever their name; a wrong figure in them is found")
  func otherFiles() throws {
    let shipped = try GoldenFile.all(in: GoldenFile.shippedFolder)
    func file(_ name: String) throws -> GoldenFile { try #require(shipped.first { $0.name == name }) }
    let scores = try file("v4_period_score")
    let weights = try file("v6_weights_pipeline")
    let more = [
      GoldenFile(name: "v4_period_score", cases: Array(scores.cases.reversed())),
      GoldenFile(name: "v6_weights_pipeline-more", cases: Array(weights.cases.prefix(3))),
      GoldenFile(name: "queue of uids", cases: try file("v4_uid_queue").cases),
    ]
    let run = try GoldenRun(more, shipped: shipped, table: nil)
    #expect(run.problems.isEmpty, "\(run.problems)")
    #expect(run.files.map(\.counts.total) == more.map(\.cases.count))
    #expect(run.files[2].counts.replaced == more[2].cases.count)

    let wrong = try #require(scores.cases.last { $0["out"]?["period_score"]?.double ?? 0 > 0.1 })
    var members = wrong.members
    members["out"] = .object(["period_score": .number(wrong["out"]!["period_score"]!.double! * (1 + 1e-9))])
    let found = try GoldenRun(
      [GoldenFile(name: "v4_period_score_of_mine", cases: [.object(members)])], shipped: shipped, table: nil)
    #expect(found.problems.count == 1)
    let strange = try GoldenRun(
      [GoldenFile(name: "mine", cases: [.object(["in": .object(["a": .null]), "out": .null])])],
      shipped: shipped, table: nil)
    #expect(strange.problems.count == 1)
  }

  /// The table as JSON, one case per line.
  static func text(of table: [String: [String: JSON]]) -> String {
    let files = table.sorted { $0.key < $1.key }.map { file, cases in
      let lines = cases.sorted { Int($0.key)! < Int($1.key)! }.map { index, one in
        "    \"\(index)\": \(one.canonicalText())"
      }
      return "  \"\(file)\": {\n\(lines.joined(separator: ",\n"))\n  }"
    }
    return "{\n\(files.joined(separator: ",\n"))\n}\n"
  }

  static var tableURL: URL {
    Bundle.module.resourceURL!.appending(path: "safe.json")
  }
}
