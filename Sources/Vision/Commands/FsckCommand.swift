import Common

/// `vision fsck`: holds the queue against its own rules, and repairs it when asked to.
enum FsckCommand {
  static let entry = VisionCommand.Entry(
    name: "fsck", about: "Check that every job is in exactly one place and the counters agree.",
    settings: Connection.settings + [
      Setting(
        "live", .boolean, default: "true",
        help: "Look twice before something counts as a problem, since the pipeline may be running."),
      Setting(
        "repair", .boolean, default: "false",
        help: "Repair what is found. Nothing is lost: what cannot be made whole goes to the dead list or the"
          + " ledger with its reason, what is in the way is kept for a week under lost:."),
    ], work: run)

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let isLive = context.settings.bool("live")
    let report = try await Connection.withQueue(context.settings) { queue in
      guard context.settings.bool("repair") else { return try await Fsck(queue, isLive: isLive).run() }
      let outcome = try await FsckRepair(queue, isLive: isLive).run()
      for line in outcome.lines { print("repaired " + line) }
      return outcome.report
    }
    for line in report.lines { print(line) }
    return report.isClean ? .ok : .failed
  }
}
