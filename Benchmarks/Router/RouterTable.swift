import Foundation

/// The simulation's figures as Markdown.
enum RouterTable {
  private static let heading =
    "| policy | goodput % | first token p50 | p95 | p99 ms | wasted % | attempts | to bad % | fairness |\n"
    + "|---|---|---|---|---|---|---|---|---|"

  /// One scenario: a row for each policy.
  static func scenario(_ outcome: RouterStudy.Outcome) -> String {
    let rows = RouterStudy.policies.indices.map { policy in
      let cells = SimFigure.allCases.map { cell($0, outcome.mean(policy, $0)) }
      return "| \(RouterStudy.policies[policy].name) | " + cells.joined(separator: " | ") + " |"
    }
    return "### \(outcome.scenario): \(outcome.about)\n\n\(heading)\n" + rows.joined(separator: "\n") + "\n"
  }

  private static func cell(_ figure: SimFigure, _ value: SimMean) -> String {
    guard value.mean.isFinite else { return "none" }
    let digits =
      switch figure {
      case .goodput, .wasted, .bad: 1
      case .p50, .p95, .p99: 0
      case .amplification, .fairness: 2
      }
    return String(format: "%.\(digits)f ± %.\(digits)f", value.mean, value.halfWidth)
  }

  /// Goodput alone: a row for each scenario.
  static func summary(_ outcomes: [RouterStudy.Outcome]) -> String {
    let names = RouterStudy.policies.map(\.name)
    let rows = outcomes.map { outcome in
      let cells = names.indices.map { policy in
        let value = outcome.mean(policy, .goodput)
        return String(format: "%.1f ± %.1f", value.mean, value.halfWidth)
      }
      return "| \(outcome.scenario) | " + cells.joined(separator: " | ") + " |"
    }
    let line = "|---|" + names.map { _ in "---|" }.joined()
    return "| goodput % | " + names.joined(separator: " | ") + " |\n\(line)\n"
      + rows.joined(separator: "\n") + "\n"
  }

  /// The aims and whether they hold.
  static func aims(_ rows: [Row]) -> String {
    let lines = rows.map { row in
      "| \(row.metric) | \(String(format: "%.1f", row.value)) \(row.unit) | \(row.anchor) "
        + "| \(row.aim?.text ?? "") | \(row.holds.map { $0 ? "yes" : "no" } ?? "") |"
    }
    return "| figure | value | | aim | holds |\n|---|---|---|---|---|\n" + lines.joined(separator: "\n")
      + "\n"
  }
}
