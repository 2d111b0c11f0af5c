import Common
import Foundation

/// The program `vision-bench`; `scripts/bench` starts it.
enum Benchmarks {
  private struct Entry {
    let name: String
    let work: @IO @Sendable (Lab) async throws -> [Row]
  }

  private static let entries = [
    Entry(name: "xadd", work: XaddBench.run), Entry(name: "post", work: PostBench.run),
    Entry(name: "nonstream", work: NonstreamBench.run), Entry(name: "relay", work: RelayBench.run),
    Entry(name: "organics", work: OrganicsBench.run),
    Entry(name: "idle-streams", work: IdleStreamsBench.run), Entry(name: "memory", work: MemoryBench.run),
    Entry(name: "fold", work: FoldBench.run),
    Entry(name: "queue-drain", work: QueueDrainBench.run),
    Entry(name: "queue-enqueue", work: QueueEnqueueBench.run),
    Entry(name: "queue-latency", work: QueueLatencyBench.pushes),
    Entry(name: "queue-delayed", work: QueueLatencyBench.delayed),
    Entry(name: "queue-crash", work: QueueCrashBench.run),
    Entry(name: "growth", work: GrowthBench.run), Entry(name: "scale", work: ScaleBench.run),
    Entry(name: "start-up", work: StartUpBench.run),
  ]

  static let table = SettingsTable(
    program: "vision-bench", about: "Measures the pipeline beside the tools that mark its limits.",
    settings: [
      Setting("json", .boolean, default: "false", help: "One JSON object for each row instead of a table."),
      Setting("seconds", .decimal(0.2...60), default: "2", help: "Length of one measurement, in seconds."),
      Setting(
        "peers", .boolean, default: "false",
        help: "queue-…: also other job queues, which are installed from PyPI into the run's folder."),
      Setting(
        "seeds", .string(maxBytes: 40), default: "101-120",
        help: "router: the first and the last seed; the router was tuned on 1-20."),
      Setting(
        "write", .boolean, default: "false",
        help: "router: put the table into docs/ROUTING.md and draw docs/routing.svg. counts: renew the file."),
      Setting(
        "server-core", .integer(0...1023), default: "0",
        help: "The core of Redis and of the servers that answer; this program should run on another."),
    ],
    positionals: [
      .init(
        "name",
        help: "What to run, all by default: " + entries.map(\.name).joined(separator: ", ")
          + ". Alone: router, the simulation of the choice of miners; counts, instructions by callgrind.",
        isOptional: true, isRepeated: true)
    ])

  @IO static func run(_ context: ServiceContext) async throws -> ExitCode {
    let names = context.settings.arguments
    if names == ["router"] { return try RouterBench.run(context, show: show) }
    let known = Set(entries.map(\.name))
    if names != ["counts"], let unknown = names.first(where: { !known.contains($0) }) {
      complain("vision-bench: no benchmark '\(unknown.prefix(40))'\n")
      return .usage
    }
    let settings = context.settings
    let lab = try Lab(seconds: settings.double("seconds"), serverCore: settings.int("server-core"))
    let isCount = names == ["counts"]
    let counts = Entry(name: "counts") { try await CountsBench.run($0, write: settings.bool("write")) }
    let chosen = isCount ? [counts] : entries.filter { names.isEmpty || names.contains($0.name) }
    let work = IO.task { @IO in
      try await lab.startRedis()
      if settings.bool("peers") { try await QueuePeers.install(lab) }
      let machine = try await Machine.look(lab)
      show(settings.bool("json") ? machine.json : machine.lines)
      return try await measure(chosen, lab, asJSON: settings.bool("json"))
    }
    let watch = context.stopping.onFire { work.cancel() }
    defer { context.stopping.forget(watch) }
    let result = await work.result
    if case .failure = result, !context.stopping.isFired { complain(lab.logTails()) }
    await lab.stop()
    if context.stopping.isFired { return .interrupted }
    let allHold = try result.get()
    // Counts are the same on every machine: one that is off is a failure.
    return isCount && !allHold ? .failed : .ok
  }

  /// Returns whether every aim is met.
  @IO private static func measure(_ chosen: [Entry], _ lab: Lab, asJSON: Bool) async throws -> Bool {
    var allHold = true
    if !asJSON { show(Row.heading) }
    for entry in chosen {
      let rows: [Row]
      do {
        rows = try await entry.work(lab)
      } catch let failure as BenchFailure {
        throw BenchFailure("\(entry.name): \(failure)")
      }
      for row in rows { show(asJSON ? row.json : row.line) }
      allHold = allHold && rows.allSatisfy { $0.holds != false }
      try Task.checkCancellation()
    }
    return allHold
  }

  private static func complain(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

  /// At once, also where a file or a pipe reads along.
  private static func show(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
