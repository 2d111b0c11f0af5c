import Foundation
import TestSupport
import Testing

@testable import Common

/// Compares this program with what the original validators computed, over every recorded case.
///
/// Each case is in exactly one class: equal; safe (the original raised an error or has a known defect:
/// `safe.json` lists our result and the reason); or replaced on purpose (`GoldenReplaced`).
/// `VISION_GOLDEN_RECORD=<file>` writes that table anew, to be read before it is kept.
@Suite("Golden vectors")
struct GoldenTests {
  static let rules = GoldenV4.rules.merging(GoldenV6.rules) { $1 }.merging(GoldenChain.rules) { $1 }

  @Test("every recorded case is equal, safe or replaced, and none is skipped")
  func everyCase() throws {
    let record = ProcessInfo.processInfo.environment["VISION_GOLDEN_RECORD"]
    let table = try GoldenParser.parse(Data(contentsOf: Self.tableURL))
    var fresh: [String: [String: JSON]] = [:]
    var sums = [0, 0, 0]
    var lines: [String] = []
    let files = try GoldenFile.all()
    #expect(!files.isEmpty)
    for file in files {
      if let reason = GoldenReplaced.reasons[file.name] {
        #expect(Self.rules[file.name] == nil, "\(file.name) is in two classes")
        sums[2] += file.cases.count
        lines.append(Self.line(file.name, [0, 0, file.cases.count], "replaced: \(reason)"))
        continue
      }
      let rule = try #require(Self.rules[file.name], "say how \(file.name) is compared")
      var safe: [String: JSON] = [:]
      for (index, one) in file.cases.enumerated() {
        if let ours = try Self.difference(one, rule, "\(file.name)[\(index)]") { safe[String(index)] = ours }
      }
      fresh[file.name] = safe.isEmpty ? nil : safe
      if record == nil {
        Self.compare(safe, with: table[file.name]?.members ?? [:], file.name, rule.tolerance)
      }
      sums[0] += file.cases.count - safe.count
      sums[1] += safe.count
      lines.append(Self.line(file.name, [file.cases.count - safe.count, safe.count, 0], ""))
    }
    if let record { try Self.text(of: fresh).write(toFile: record, atomically: true, encoding: .utf8) }
    print((lines + [Self.line("in all", sums, "")]).joined(separator: "\n"))
    #expect(record != nil || Set(table.members.keys).isSubset(of: files.map(\.name)))
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

  static func line(_ name: String, _ counts: [Int], _ note: String) -> String {
    let total = counts.reduce(0, +)
    let padding = String(repeating: " ", count: max(1, 36 - name.count))
    let figures = "equal \(counts[0])  safe \(counts[1])  replaced \(counts[2])  of \(total)"
    return "\(name)\(padding)\(figures)  \(note)"
  }

  /// Nil when the case is equal, else our result with the reason for it.
  static func difference(_ one: JSON, _ rule: GoldenRule, _ place: String) throws -> JSON? {
    let input = try #require(one["in"])
    let output = try #require(one["out"])
    let ours = try rule.ours(input)
    #expect(!ours.holdsNonFinite, "\(place): our result is not finite")
    if ours.isClose(to: rule.theirs(output), tolerance: rule.tolerance) { return nil }
    let reason = try rule.defect(input, output)
    if let reproduced = try rule.reproduced(input) {
      let same = reproduced.isClose(to: rule.theirs(output), tolerance: rule.tolerance)
      #expect(same, "\(place): the defect does not explain the difference: \(reproduced.canonicalText())")
    }
    if reason == nil {
      let texts = [ours, rule.theirs(output)].map { String($0.canonicalText().prefix(1500)) }
      Issue.record("\(place): ours \(texts[0]) is not the original's \(texts[1])")
    }
    return .object(["ours": ours, "reason": .string(reason ?? "unexplained")])
  }

  /// Checks the cases that differ against the table of those that may.
  static func compare(
    _ safe: [String: JSON], with table: [String: JSON], _ file: String, _ tolerance: Double
  ) {
    for index in Set(safe.keys).union(table.keys).sorted() {
      guard let ours = safe[index] else {
        Issue.record("\(file)[\(index)] equals the original now: take it off safe.json")
        continue
      }
      guard let listed = table[index] else {
        Issue.record("\(file)[\(index)] is not in safe.json: \(ours.canonicalText().prefix(1500))")
        continue
      }
      #expect(ours.isClose(to: listed, tolerance: tolerance), "\(file)[\(index)]")
    }
  }
}
