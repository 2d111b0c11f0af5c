import Common
import Foundation

/// The program `vision-chaos`; `scripts/chaos` starts it. docs/CHAOS.md explains what it shows.
enum Chaos {
  static let table = SettingsTable(
    program: "vision-chaos", about: "Breaks the pipeline on purpose and says which promises held.",
    settings: [
      Setting(
        "json", .boolean, default: "false", help: "One JSON object for each figure instead of a table."),
      Setting("list", .boolean, default: "false", help: "List the cases and end."),
      Setting(
        "seed", .integer(1...Int(Int32.max)),
        help: "Seed of what is left to chance; a fresh one by default. It is printed with the table."),
      Setting(
        "minutes", .decimal(0...1440), default: "0",
        help: "How long soak and memory-full go on, in minutes; 0 for the case's own choice."),
      Setting(
        "times", .integer(1...10_000),
        help: "How often a fault is repeated in the cases that repeat one; each has its own default."),
      Setting(
        "keep", .boolean, default: "false",
        help: "Keep each case's folder, with its evidence and logs, and say where."),
    ],
    positionals: [
      .init(
        "name", help: "Cases to run, or all; soak is never part of all.", isOptional: true, isRepeated: true)
    ])

  @IO static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    if settings.bool("list") {
      for each in Catalogue.all { show(each.listing) }
      return .ok
    }
    let names = settings.arguments
    let isAll = names.isEmpty || names == ["all"]
    let known = Set(Catalogue.all.map(\.name))
    if !isAll, let unknown = names.first(where: { !known.contains($0) }) {
      complain("vision-chaos: no case '\(unknown.prefix(40))'; --list names them\n")
      return .usage
    }
    let chosen = Catalogue.all.filter { isAll ? $0.isInAll : names.contains($0.name) }
    let runner = ChaosRunner(settings)
    let work = IO.task { @IO in try await runner.run(chosen) }
    let watch = context.stopping.onFire { work.cancel() }
    defer { context.stopping.forget(watch) }
    let result = await work.result
    if context.stopping.isFired { return .interrupted }
    return try result.get() ? .ok : .failed
  }

  static func complain(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

  /// At once, also where a file or a pipe reads along.
  static func show(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
