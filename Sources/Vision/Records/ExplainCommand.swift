import Aggregator
import Common

/// `vision explain`: every factor behind a published weight.
enum ExplainCommand {
  static let entry = VisionCommand.Entry(
    name: "explain", about: "Show every factor behind a miner's weight, and what cost it most.",
    settings: Connection.settings + RecordedPeriods.settings + [
      RecordedPeriods.period,
      Setting("json", .boolean, default: "false", help: "One JSON object instead of lines."),
    ],
    positionals: [.init("hotkey", help: "The miner, or the beginning of its hotkey.")],
    work: { context in
      let result = try await RecordedPeriods.result(context.settings)
      let explanation = try Explanation(result, hotkey: context.settings.arguments.first ?? "")
      print(
        context.settings.bool("json")
          ? explanation.json.canonicalText() : explanation.lines.joined(separator: "\n"))
      return .ok
    })
}
