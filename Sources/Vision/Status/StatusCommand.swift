import Common

/// `vision status`: what the pipeline is doing.
enum StatusCommand {
  static let entry = VisionCommand.Entry(
    name: "status", about: "Show queues, periods, workers, checks and the last weights.",
    settings: Connection.settings + [
      Setting("json", .boolean, default: "false", help: "One JSON object instead of lines."),
      Setting("watch", .boolean, default: "false", help: "Show it anew every second until Ctrl-C."),
    ], work: run)

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let asJSON = context.settings.bool("json")
    return try await Connection.withQueue(context.settings) { queue in
      repeat {
        let report = try await StatusReport.read(queue)
        if asJSON {
          print(report.json.canonicalText())
        } else {
          // Clear the screen only when it is shown again and again.
          if context.settings.bool("watch") { print("\u{1b}[2J\u{1b}[H", terminator: "") }
          print(report.text)
        }
        flushOutput()
        guard context.settings.bool("watch") else { break }
        let pause = Signal()
        let timer = EventLoop.shared.after(milliseconds: 1_000) { pause.fire() }
        let watch = context.stopping.onFire { pause.fire() }
        await pause.wait()
        timer.cancel()
        context.stopping.forget(watch)
      } while !context.stopping.isFired
      return .ok
    }
  }
}
