import Common

/// What `vision-simulator` does, and what each of it can be told.
enum SimulatorRole: String, CaseIterable {
  /// Serves simulated miners.
  case miners
  /// Serves a simulated checking server.
  case checker
  /// Serves a load for benchmarks.
  case flood

  /// The settings of the role.
  var table: SettingsTable {
    SettingsTable(
      program: "vision-simulator \(rawValue)", about: about, settings: settings + CommonSettings.process,
      elsewhere: KnownSettings.names)
  }

  private var about: String {
    switch self {
    case .miners:
      "Serves simulated miners on ports of 127.0.0.1, and writes down where they are and what they are worth."
    case .checker: "Serves a simulated checking server on a port of 127.0.0.1."
    case .flood:
      "Answers POST requests with the same stream, or all requests with the same text, at next to no cost."
    }
  }

  private var settings: [Setting] {
    switch self {
    case .miners: Self.minerSettings
    case .checker: [Self.port, Self.portFile, Self.seed] + Self.checkerSettings
    case .flood: [Self.port, Self.portFile] + Self.floodSettings
    }
  }

  private static let port = Setting(
    "port", .integer(0...65_535), default: "0", help: "The port; 0 lets the system choose.")
  private static let portFile = Setting(
    "port-file", .path,
    help: "A file that gets the port's number once the port is served; of several, one in each line.")
  private static let seed = Setting(
    "seed", .integer(0...Int.max), default: "1", help: "Equal seeds give equal behaviour.")

  private static let minerSettings = [
    seed,
    Setting(
      "miners", .integer(1...Population.minersMax), default: "24", help: "How many miners are served."),
    Setting(
      "config", .path,
      help: "The validator's task table. Without it there is one task of every shape."),
    Setting(
      "profile", .choice(ProfileName.allCases.map(\.rawValue)), default: ProfileName.vision.rawValue,
      help: "The scoring profile, where no task table names it."),
    Setting(
      "cheats", .boolean, default: "false",
      help: "Ten in 24 miners cheat, each with an honest twin of equal hardware."),
    Setting(
      "behaviours", .string(maxBytes: 4096),
      help: "Behaviours instead, dealt out in turn, such as honest,garbage. All of them: "
        + BehaviourKind.allCases.map(\.rawValue).joined(separator: ", ") + "."),
    Setting(
      "base-port", .integer(1024...65_535),
      help: "The port of miner 0; the others follow. Without it the system chooses."),
    Setting(
      "roster", .path,
      help: "A file that gets hotkeys and addresses, once all are served. Without it stdout gets them."),
    Setting("truth", .path, help: "A file that gets what each miner is worth, before any is served."),
    Setting(
      "validator-hotkey", .string(maxBytes: 128),
      help: "The validator's hotkey in the roster. Without it that of the task table, or one from the seed."
    ),
  ]

  private static let checkerSettings = [
    Setting(
      "check-time", .milliseconds(0...3_600_000), default: "50ms", help: "How long a check takes."),
    Setting(
      "model-switch-time", .milliseconds(0...3_600_000), default: "0ms",
      help: "How much longer it takes when another model is to be loaded."),
    Setting(
      "slow-time", .milliseconds(0...3_600_000), default: "30s",
      help: "How long a check with the fault slow takes."),
    Setting(
      "faults", .string(maxBytes: 1024), default: "",
      help: "Faults and in which share of the checks each happens, such as nan:0.1,lose-reply:0.2. "
        + "All of them: " + CheckerFault.allCases.map(\.rawValue).joined(separator: ", ") + "."),
  ]

  private static let floodSettings = [
    Setting(
      "tokens", .integer(1...FloodServer.tokensMax), default: "100", help: "Tokens of each stream."),
    Setting(
      "tokens-per-second", .decimal(0...1_000_000), default: "50",
      help: "How fast each stream runs; 0 sends all its tokens at once."),
    Setting(
      "ports", .integer(1...FloodServer.portsMax), default: "1",
      help:
        "On how many ports it serves, each a server of its own to clients; those after the first are free ones."
    ),
    Setting(
      "plain", .boolean, default: "false", help: "Answers every request with the same 200 bytes of JSON."),
    Setting(
      "fault", .choice(FloodFault.allCases.map(\.rawValue)), help: "How every stream misbehaves."),
    Setting(
      "journal", .path,
      help: "A file to whose end every request and its answer are written; tokens are numbered then."),
  ]
}
