// A program that the tests start, to see from outside how a program begins and ends.
import Common
import Glibc

private struct Broken: Error, CustomStringConvertible {
  var description: String { "broken\nin two" }
}

private struct Absent: ExitCodeProviding, CustomStringConvertible {
  var description: String { "nothing there" }
  var exitCode: ExitCode { .unavailable }
}

/// At once, whatever stdout is.
private func say(_ text: String) {
  print(text)
  fflush(nil)
}

private let table = SettingsTable(
  program: "fixture", about: "Behaves as it is told.", settings: CommonSettings.process,
  positionals: [.init("behaviour", help: "What to do.")])

Service.run(table) { context in
  switch context.settings.arguments[0] {
  case "drain":
    say("ready")
    await context.stopping.wait()
    say("drained")
    return .ok
  case "ignore":
    let never = Signal()
    say("ready")
    await context.stopping.wait()
    say("stopping")
    await never.wait()
    return .ok
  case "hangup":
    let hungUp = Signal()
    context.onHangup = { hungUp.fire() }
    say("ready")
    await hungUp.wait()
    return .failed
  case "log":
    for _ in 0..<(Log.repeatsMax + 3) { context.log.info("a line") }
    return .ok
  case "parent":
    let child = try ChildProcess(ChildCommand(["sleep", "600"]))
    say("\(child.pid)")
    await context.stopping.wait()
    return .ok
  case "break": throw Broken()
  case "miss": throw Absent()
  default: return .usage
  }
}
