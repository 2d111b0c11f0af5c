import Foundation
import TestSupport

@testable import Common

/// One comparison of a folder of recorded files with this program.
///
/// The shipped files are held against `safe.json` case by case. A file that is not shipped as it stands, in
/// a folder that `VISION_GOLDEN_DIR` names, may hold any cases of a known format: there a case that differs
/// must have a known defect of the original as its reason.
struct GoldenRun {
  static let rules = GoldenV4.rules.merging(GoldenV6.rules) { $1 }.merging(GoldenChain.rules) { $1 }

  /// How many cases of a file are in which class.
  struct Counts: Equatable {
    var equal = 0
    var safe = 0
    var replaced = 0
    var total: Int { equal + safe + replaced }

    static func + (left: Counts, right: Counts) -> Counts {
      Counts(
        equal: left.equal + right.equal, safe: left.safe + right.safe,
        replaced: left.replaced + right.replaced)
    }
  }

  /// By file, in the order of names.
  private(set) var files: [(name: String, counts: Counts, note: String)] = []
  /// What does not hold, one line each.
  private(set) var problems: [String] = []
  /// Our results and reasons for all cases that differ, by file and index.
  private(set) var safe: [String: [String: JSON]] = [:]

  var sum: Counts { files.reduce(Counts()) { $0 + $1.counts } }

  /// One line per file, and one for all.
  var text: String {
    let lines = files + [("in all", sum, "")]
    return lines.map { name, counts, note in
      let padding = String(repeating: " ", count: max(1, 36 - name.count))
      let figures = "equal \(counts.equal)  safe \(counts.safe)  replaced \(counts.replaced)"
      return "\(name)\(padding)\(figures)  of \(counts.total)  \(note)"
    }.joined(separator: "\n")
  }

  /// - Parameters:
  ///   - shipped: the files that `table` was recorded from.
  ///   - table: our results and reasons for the shipped cases that differ; nil to accept what has a reason.
  init(_ given: [GoldenFile], shipped: [GoldenFile], table: JSON?) throws {
    for file in given {
      let isShipped = shipped.contains { $0.name == file.name && $0.cases == file.cases }
      guard let name = Self.format(of: file, shipped) else {
        problems.append("\(file.name): no file of this format is known: say how it is compared")
        files.append((file.name, Counts(), "of no known format"))
        continue
      }
      if let reason = GoldenReplaced.reasons[name] {
        if Self.rules[name] != nil { problems.append("\(name) is in two classes") }
        files.append((file.name, Counts(replaced: file.cases.count), "replaced: \(reason)"))
        continue
      }
      var differing: [String: JSON] = [:]
      for (index, one) in file.cases.enumerated() {
        differing[String(index)] = try difference(one, Self.rules[name]!, "\(file.name)[\(index)]")
      }
      safe[file.name] = differing.isEmpty ? nil : differing
      if isShipped, let table {
        compare(differing, with: table[name]?.members ?? [:], name, Self.rules[name]!.tolerance)
      }
      let counts = Counts(equal: file.cases.count - differing.count, safe: differing.count)
      files.append((file.name, counts, isShipped ? "" : "as \(name)"))
    }
  }

  /// The known file that a file is compared like: of the same name, of a name that begins with it, or whose
  /// inputs have the same members.
  static func format(of file: GoldenFile, _ shipped: [GoldenFile]) -> String? {
    let known = Set(rules.keys).union(GoldenReplaced.reasons.keys)
    if known.contains(file.name) { return file.name }
    let beginning = known.filter { name in
      file.name.hasPrefix(name) && !(file.name.dropFirst(name.count).first?.isLetter ?? true)
    }
    if let longest = beginning.max(by: { $0.count < $1.count }) { return longest }
    guard let members = file.inputMembers else { return nil }
    let alike = shipped.filter { known.contains($0.name) && $0.inputMembers == members }
    return alike.count == 1 ? alike[0].name : nil
  }

  /// Nil when the case is equal, else our result with the reason for it.
  private mutating func difference(_ one: JSON, _ rule: GoldenRule, _ place: String) throws -> JSON? {
    guard let input = one["in"], let output = one["out"] else { throw GoldenError.malformed(place) }
    let ours = try rule.ours(input)
    if ours.holdsNonFinite { problems.append("\(place): our result is not finite") }
    if ours.isClose(to: rule.theirs(output), tolerance: rule.tolerance) { return nil }
    let reason = try rule.defect(input, output)
    if let reproduced = try rule.reproduced(input),
      !reproduced.isClose(to: rule.theirs(output), tolerance: rule.tolerance)
    {
      problems.append(
        "\(place): the defect does not explain the difference: \(reproduced.canonicalText())")
    }
    if reason == nil {
      let texts = [ours, rule.theirs(output)].map { String($0.canonicalText().prefix(1500)) }
      problems.append("\(place): ours \(texts[0]) is not the original's \(texts[1])")
    }
    return .object(["ours": ours, "reason": .string(reason ?? "unexplained")])
  }

  /// Checks the cases that differ against the table of those that may.
  private mutating func compare(
    _ safe: [String: JSON], with table: [String: JSON], _ file: String, _ tolerance: Double
  ) {
    for index in Set(safe.keys).union(table.keys).sorted() {
      guard let ours = safe[index] else {
        problems.append("\(file)[\(index)] equals the original now: take it off safe.json")
        continue
      }
      guard let listed = table[index] else {
        problems.append("\(file)[\(index)] is not in safe.json: \(ours.canonicalText().prefix(1500))")
        continue
      }
      if !ours.isClose(to: listed, tolerance: tolerance) {
        problems.append("\(file)[\(index)] differs from safe.json: \(ours.canonicalText().prefix(1500))")
      }
    }
  }
}
