import Common
import Foundation

/// `scripts/bench counts`: instructions of the hot paths, by callgrind. They do not depend on how busy the
/// machine is, so that a change of a few percent shows.
@IO
enum CountsBench {
  /// The file that the counts are compared with, beside this source.
  private static let path = "Benchmarks/Counts/counts.txt"
  /// How far a count may be from the file's.
  nonisolated static let tolerance = 0.05

  /// Counts, and compares with the file or, with `write`, renews it.
  static func run(_ lab: Lab, write: Bool) async throws -> [Row] {
    let known = try write ? [:] : read()
    var rows: [Row] = []
    for work in CountsWork.allCases {
      let (few, more) = work.items
      let long = try await work.life(lab, items: few + more, atLeastMilliseconds: 0)
      let short = try await work.life(lab, items: few, atLeastMilliseconds: long.milliseconds)
      // What the start, the end and the passing time take is in both.
      let each = (long.instructions - short.instructions) / Double(more)
      rows.append(row(work.rawValue, each, known: known[work.rawValue]))
    }
    if write { try self.write(rows) }
    return rows
  }

  private static func row(_ name: String, _ count: Double, known: Double?) -> Row {
    var row = Row(bench: "counts", metric: name, value: count.rounded(), unit: "instr")
    if let known {
      row.aim = .within(known, tolerance)
      row.anchor = String(format: "%+.1f %% of the file's", (count / known - 1) * 100)
    }
    return row
  }

  private static func read() throws -> [String: Double] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw BenchFailure("\(path) is missing: scripts/bench counts --write makes it")
    }
    return try parse(text)
  }

  /// Lines of a name and a count; `#` begins a comment.
  static func parse(_ text: String) throws -> [String: Double] {
    var counts: [String: Double] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      guard words.count == 2, let count = Double(words[1]), count > 0 else {
        throw BenchFailure("\(path): '\(line)' is no name and count")
      }
      counts[String(words[0])] = count
    }
    let missing = CountsWork.allCases.map(\.rawValue).filter { counts[$0] == nil }
    guard missing.isEmpty else {
      throw BenchFailure("\(path) lacks \(missing.joined(separator: ", ")): scripts/bench counts --write")
    }
    return counts
  }

  private static func write(_ rows: [Row]) throws {
    let head = """
      # Instructions of a worker for one item, in release builds: scripts/bench counts --write.
      # scripts/test --counts fails when one is more than 5 % away, faster or slower: then renew this file
      # with the change that explains it.

      """
    let lines = rows.map { "\($0.metric) \(Int($0.value))\n" }
    try (head + lines.joined()).write(toFile: path, atomically: true, encoding: .utf8)
  }
}
