import Common
import Foundation

/// `scripts/bench router`: the simulation of the choice of miners. Needs no Redis and no clock: equal seeds give
/// equal figures on every machine.
enum RouterBench {
  struct BadSeeds: Error, CustomStringConvertible {
    let text: String
    var description: String { "--seeds \(text): give the first and the last seed, such as 101-120" }
  }

  @IO static func run(_ context: ServiceContext, show: (String) -> Void) throws -> ExitCode {
    let study = RouterStudy(seeds: try seeds(context.settings.string("seeds")))
    let asJSON = context.settings.bool("json")
    var outcomes: [RouterStudy.Outcome] = []
    for name in SimScenario.names {
      if context.stopping.isFired { return .interrupted }
      let outcome = study.outcome(name)
      outcomes.append(outcome)
      if asJSON {
        for row in rows(outcome) { show(row.json) }
      } else {
        show(RouterTable.scenario(outcome))
      }
    }
    let aims = aims(outcomes)
    if !asJSON { show(Row.heading) }
    for row in aims { show(asJSON ? row.json : row.line) }
    if context.settings.bool("write") { try RouterReport.write(outcomes, aims, study.seeds) }
    return .ok
  }

  private static func seeds(_ text: String) throws -> ClosedRange<UInt64> {
    let ends = text.split(separator: "-").compactMap { UInt64($0) }
    guard ends.count == 2, ends[0] <= ends[1], ends[1] - ends[0] < 1_000 else {
      throw BadSeeds(text: String(text.prefix(40)))
    }
    return ends[0]...ends[1]
  }

  /// Every figure of a scenario.
  private static func rows(_ outcome: RouterStudy.Outcome) -> [Row] {
    RouterStudy.policies.indices.flatMap { policy in
      SimFigure.allCases.map { figure in
        let value = outcome.mean(policy, figure)
        return Row(
          bench: "router", metric: "\(outcome.scenario)/\(RouterStudy.policies[policy].name)/\(figure.name)",
          value: value.mean.isFinite ? value.mean : 0, unit: figure.unit,
          anchor: String(format: "± %.2f", value.halfWidth))
      }
    }
  }

  /// What the router has to reach.
  static func aims(_ outcomes: [RouterStudy.Outcome]) -> [Row] {
    var rows = outcomes.map { outcome in
      let best = outcome.bestOther
      let lead = outcome.lead(over: best)
      return Row(
        bench: "router", metric: "\(outcome.scenario) lead", value: lead.mean, unit: "points",
        aim: .atLeast(-2),
        anchor: String(format: "± %.2f", lead.halfWidth) + " over \(RouterStudy.policies[best].name)")
    }
    rows.append(
      Row(
        bench: "router", metric: "best or tied", value: Double(outcomes.count { $0.isBestOrTied }),
        unit: "of \(outcomes.count)", aim: .atLeast(9)))
    if let honest = outcomes.first(where: { $0.scenario == "honest" }),
      let oracle = RouterStudy.policies.firstIndex(where: \.isOracle)
    {
      rows.append(
        Row(
          bench: "router", metric: "honest, under the oracle", value: -honest.lead(over: oracle).mean,
          unit: "points", aim: .atMost(5)))
    }
    return rows
  }
}
