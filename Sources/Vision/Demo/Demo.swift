import Common
import Foundation

/// `vision demo`: the whole pipeline on this machine, for short periods, against simulated miners.
enum Demo {
  static let entry = VisionCommand.Entry(
    name: "demo", about: "Run the whole pipeline for a short period against simulated miners.",
    settings: [
      Setting(
        "period", .integer(10...3600), default: "60", help: "Length of the period, in seconds."),
      Setting("periods", .integer(1...100), default: "1", help: "How many periods follow each other."),
      Setting("miners", .integer(2...512), default: "24", help: "Simulated miners, cheats among them."),
      Setting("seed", .integer(0...Int(Int32.max)), default: "7", help: "Seed of the miners' behaviour."),
      Setting(
        "profile", .choice(["vision", "nineteen"]), default: "vision", help: "The scoring profile."),
      Setting("config", .path, help: "The task table; by default the one of the profile."),
      Setting(
        "redis-url", .url(schemes: ["redis", "unix", "redis+sentinel"]),
        help: "A Redis to use instead of one of the demo's own; its data is left alone, under a namespace."),
      CommonSettings.redisUser, CommonSettings.redisPassword, CommonSettings.redisPasswordFile,
      CommonSettings.sentinelPassword,
      Setting("workers", .integer(1...16), default: "2", help: "Query worker processes."),
      Setting("producers", .integer(1...8), default: "1", help: "Producers; one leads."),
      Setting("aggregators", .integer(1...8), default: "1", help: "Aggregators; one leads."),
      Setting(
        "organics-per-second", .decimal(0...100), default: "2", help: "Users' requests beside the tests."),
      Setting(
        "kill-worker-after", .integer(0...3600), default: "0",
        help: "Kill one query worker with SIGKILL after so many seconds of the period; 0 for never."
          + " The demo fails when its jobs are not all taken over within 20 seconds."),
      Setting(
        "stop-redis-after", .integer(0...3600), default: "0",
        help: "Stop Redis for 5 seconds after so many seconds of the period; 0 for never."),
      Setting(
        "stop-checker-after", .integer(0...3600), default: "0",
        help: "Kill the checking server for good after so many seconds of the period; 0 for never."),
      Setting(
        "keep", .boolean, default: "false",
        help: "Keep the folder with logs and results, and the demo's keys in a Redis that was given."),
    ], work: run)

  /// How long past the period's end the weights may take, in seconds: the longest task, its lease, the
  /// checks that wait, the fold.
  static let closingSecondsMax = 150

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let folder = try DemoFolder()
    defer { if !context.settings.bool("keep") { folder.remove() } }
    let stack = try await DemoStack(context: context, folder: folder)
    do {
      try await stack.start()
      let outcome = try await follow(context, stack)
      await stack.stop()
      if context.settings.bool("keep") { print("logs and results are in \(folder.path)") }
      return outcome
    } catch {
      await stack.stop()
      if !(error is DemoStopped) { folder.showLogTails() }
      throw error
    }
  }

  /// Watches the period to its end, then judges it.
  @IO private static func follow(_ context: ServiceContext, _ stack: DemoStack) async throws -> ExitCode {
    let queue = stack.queue
    let view = DemoView(queue: queue, periods: context.settings.int("periods"))
    let organics = DemoOrganics(queue: queue, tasks: stack.config.tasks)
    let traffic = IO.task { @IO in
      await organics.run(perSecond: context.settings.double("organics-per-second"), until: stack.ending)
    }
    let faults = DemoFaults(stack: stack, view: view)
    let faulting = IO.task { @IO in await faults.run(context.settings) }
    // Nobody waits for a Redis that is away once it is clear how the demo ends.
    let watch = context.stopping.onFire { stack.giveUp() }
    defer {
      context.stopping.forget(watch)
      traffic.cancel()
      faulting.cancel()
    }
    let limit = Monotonic.now().advanced(
      milliseconds: (context.settings.int("period") * (context.settings.int("periods") + 1)
        + closingSecondsMax + 30) * 1000)
    while true {
      if context.stopping.isFired { throw DemoStopped() }
      if let failed = stack.failedProcess { throw DemoFailure(failed) }
      if Monotonic.now() > limit { throw DemoFailure("no weights in time; see the logs") }
      if let snapshot = try? await view.refresh(organics) {
        view.show(snapshot)
        if snapshot.isPeriodOver { stack.ending.fire() }
        if snapshot.hasWeights { break }
      }
      await EventLoop.shared.sleep(milliseconds: 500, orUntil: stack.gaveUp)
    }
    stack.ending.fire()
    await traffic.value
    await faulting.value
    // Of several producers the one that did not close the last period may have opened another one.
    await stack.rest()
    view.finish()
    let report = DemoReport(queue: queue, folder: stack.folder, periods: view.periods)
    return try await report.judge(faults.takeover, organics.users)
  }
}

/// Why a demo did not succeed.
struct DemoFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// The demo was asked to end before its time.
struct DemoStopped: ExitCodeProviding, CustomStringConvertible {
  var exitCode: ExitCode { .interrupted }
  var description: String { "stopped before the weights were computed" }
}

/// The demo's folder for sockets, logs and results.
struct DemoFolder {
  /// The name of the export folder in it.
  static let exports = "exports"

  let path: String

  init() throws {
    let pattern = FileManager.default.temporaryDirectory.path + "/vision-demo-XXXXXX"
    var template = Array(pattern.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw DemoFailure("no folder can be made: \(pattern)")
    }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  /// The path of a file in the folder.
  func file(_ name: String) -> String { path + "/" + name }

  func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// Prints the last lines of each log that holds any.
  func showLogTails() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names.sorted() where name.hasSuffix(".log") {
      let lines = tail(of: name).split(separator: "\n").suffix(5)
      if !lines.isEmpty { print("\(name):\n  " + lines.joined(separator: "\n  ")) }
    }
  }

  /// The end of a file, 16 KiB at most; empty when there is none.
  private func tail(of name: String) -> String {
    guard let handle = FileHandle(forReadingAtPath: file(name)) else { return "" }
    defer { try? handle.close() }
    guard let size = try? handle.seekToEnd(), size > 0 else { return "" }
    try? handle.seek(toOffset: size - min(size, 16 << 10))
    return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
  }
}
