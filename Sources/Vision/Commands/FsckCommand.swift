import Common

/// `vision fsck`: holds the queue against its own rules.
enum FsckCommand {
  static let entry = VisionCommand.Entry(
    name: "fsck", about: "Check that every job is in exactly one place and the counters agree.",
    settings: Connection.settings + [
      Setting(
        "live", .boolean, default: "true",
        help: "Look twice before something counts as a problem, since the pipeline may be running.")
    ],
    work: { context in
      let report = try await Connection.withQueue(context.settings) { queue in
        try await Fsck(queue, isLive: context.settings.bool("live")).run()
      }
      for line in report.lines { print(line) }
      return report.isClean ? .ok : .failed
    })
}
