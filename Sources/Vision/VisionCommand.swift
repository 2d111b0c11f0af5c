import Common
import Foundation

/// The operator's program: `vision COMMAND …`.
public enum VisionCommand {
  /// One command.
  struct Entry {
    let name: String
    let about: String
    let settings: [Setting]
    var positionals: [SettingsTable.Positional] = []
    let work: @IO @Sendable (ServiceContext) async throws -> ExitCode
  }

  private static let program = "vision"

  static let entries: [Entry] = [
    Demo.entry, StatusCommand.entry, QueueCommands.pause, QueueCommands.resume, QueueCommands.cancel,
    SubmitCommand.entry, QueueCommands.dead, FsckCommand.entry, ScoreCommand.entry,
    ExplainCommand.entry, ReplayCommand.entry, LedgerCommand.entry,
  ]

  /// Runs the command that the arguments name. Does not return.
  public static func main() -> Never {
    var arguments = Array(CommandLine.arguments.dropFirst())
    guard let name = arguments.first, name != "--help", name != "-h", name != "help" else {
      print(overview)
      exit(arguments.isEmpty ? ExitCode.usage.rawValue : ExitCode.ok.rawValue)
    }
    if name == "--version" {
      print("vision \(Version.current)")
      exit(ExitCode.ok.rawValue)
    }
    guard let entry = entries.first(where: { $0.name == name }) else {
      FileHandle.standardError.write(Data((unknownCommand(name) + "\n").utf8))
      exit(ExitCode.usage.rawValue)
    }
    arguments.removeFirst()
    Service.run(table(of: entry), arguments: arguments, work: entry.work)
  }

  static func table(of entry: Entry) -> SettingsTable {
    SettingsTable(
      program: "\(program) \(entry.name)", about: entry.about, settings: entry.settings,
      positionals: entry.positionals, elsewhere: KnownSettings.names)
  }

  static func unknownCommand(_ name: String) -> String {
    let shown = String(name.prefix(40).filter { $0.isASCII && !$0.isNewline && $0 >= " " })
    let names = entries.map(\.name)
    let hint = NearMiss.hint(name, among: names)
    return "\(program): unknown command '\(shown)'"
      + (hint.isEmpty ? "; the commands are " + names.joined(separator: ", ") : hint)
  }

  private static var overview: String {
    let width = entries.map(\.name.count).max() ?? 0
    let lines = entries.map { entry in
      "  " + entry.name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + entry.about
    }
    return """
      usage: vision COMMAND [flags]

      \(lines.joined(separator: "\n"))

      vision COMMAND --help tells the flags of a command; vision --version the version.
      """
  }
}
