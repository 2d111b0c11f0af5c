import Foundation

/// Puts the simulation's figures where readers find them.
enum RouterReport {
  static let document = "docs/ROUTING.md"
  static let plot = "docs/routing.svg"
  private static let begin = "<!-- figures: written by scripts/bench router --write -->"
  private static let end = "<!-- end of figures -->"

  struct NoPlace: Error, CustomStringConvertible {
    var description: String {
      "\(document) has no place for the figures: run this in the project's folder, "
        + "and keep the lines '\(begin)' and '\(end)'"
    }
  }

  static func write(
    _ outcomes: [RouterStudy.Outcome], _ aims: [Row], _ seeds: ClosedRange<UInt64>
  ) throws {
    guard let data = FileManager.default.contents(atPath: document),
      let text = Optional(String(decoding: data, as: UTF8.self)),
      let first = text.range(of: begin), let last = text.range(of: end), first.upperBound <= last.lowerBound
    else { throw NoPlace() }
    let figures = [
      "Seeds \(seeds.lowerBound) to \(seeds.upperBound); ± is half of the 95 % confidence interval.\n",
      RouterTable.aims(aims), RouterTable.summary(outcomes),
      outcomes.map(RouterTable.scenario).joined(separator: "\n"),
    ]
    let written =
      text[..<first.upperBound] + "\n\n" + figures.joined(separator: "\n") + "\n" + text[last.lowerBound...]
    try Data(written.utf8).write(to: URL(filePath: document), options: .atomic)
    try Data(RouterPlot.svg(outcomes).utf8).write(to: URL(filePath: plot), options: .atomic)
  }
}
