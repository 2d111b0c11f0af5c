import Common

/// What an aggregator can be told.
public struct AggregatorOptions: Sendable {
  /// The file that gets each period's weights; nil for none.
  public var weightsFile: String?
  /// The shell command that gets each period's weights on its standard input; nil for none.
  public var weightsCommand: String?
  /// Time for one run of the command, in ms.
  public var commandMilliseconds = 60_000
  /// How often sending one period's weights is tried.
  public var sendTriesMax = 10
  /// The pause after the first failed try, in ms; it doubles up to a minute.
  public var firstRetryMilliseconds = 1_000
  /// Computes and logs, and sends nothing: the published weights, file and command are left alone.
  public var isDryRun = false
  /// The most results that are kept.
  public var resultsMax = 168
  /// The most bytes of all kept results together; the newest is kept in any case.
  public var resultBytesMax = 64 << 20
  /// Closed periods whose ledger entries are kept.
  public var keptPeriods = 3
  /// The folder that gets each close's segment of the ledger and state; nil for none.
  public var exportDirectory: String?
  /// Periods that are kept there.
  public var exportKeptPeriods = 48

  /// How long the role lasts without a renewal, in ms.
  public var roleMilliseconds = 10_000
  /// The pause between renewals, and between a standby's tries, in ms.
  public var renewMilliseconds = 3_000
  /// A changed state is saved at least this often, in ms; a large one at most a tenth of the time.
  public var saveMilliseconds = 2_000
  /// The pauses while nothing comes, in ms: they double from the first to the second.
  public var idleMilliseconds = (first: 500, longest: 2_000)
  /// Ledger entries read at once.
  public var pageMax = 1_000

  /// The defaults.
  public init() {}

  /// What the settings say.
  public init(_ settings: Settings) {
    weightsFile = settings.stringIfSet("weights-file")
    weightsCommand = settings.stringIfSet("weights-command").flatMap { $0.isEmpty ? nil : $0 }
    commandMilliseconds = settings.int("weights-command-timeout")
    sendTriesMax = settings.int("weights-tries")
    isDryRun = settings.bool("dry-run")
    resultsMax = settings.int("history-max")
    keptPeriods = settings.int("ledger-keep-periods")
    exportDirectory = settings.stringIfSet(Self.exportDirectory.name)
    exportKeptPeriods = settings.int("export-keep-periods")
  }

  /// The export folder; also a setting of the commands that read it.
  public static let exportDirectory = Setting(
    "export-directory", .path,
    help: "The folder with what each close leaves behind: the ledger's segment, the state after it, every"
      + " factor and the weights (docs/REPLAY.md).")

  /// The settings of `vision-aggregator`, beside the common ones.
  public static let settings: [Setting] = [
    Setting(
      "weights-file", .path,
      help: "A file that gets each period's weights as JSON, replaced as a whole."),
    Setting(
      "weights-command", .string(maxBytes: 4096),
      help: "A shell command that gets each period's weights as JSON on its standard input. With an exit code"
        + " other than 0 it is run again. It can see the same weights twice."),
    Setting(
      "weights-command-timeout", .milliseconds(100...3_600_000), default: "60s",
      help: "Time for one run of the command; then it is killed, and has failed."),
    Setting(
      "weights-tries", .integer(1...1_000), default: "10",
      help: "How often sending a period's weights is tried, with growing pauses up to a minute. The next"
        + " period's weights end the tries of the ones before."),
    Setting(
      "dry-run", .boolean, default: "false",
      help: "Compute and log weights, and send nothing: the published weights, the file and the command are"
        + " left alone. Results are still kept in Redis for inspection."),
    Setting(
      "history-max", .integer(1...10_000), default: "168",
      help: "The most results of past periods that are kept in Redis, at most 64 MB in all."),
    Setting(
      "ledger-keep-periods", .integer(1...1_000), default: "3",
      help: "Closed periods whose ledger entries are kept; older ones are dropped once they are folded."),
    exportDirectory,
    Setting(
      "export-keep-periods", .integer(1...10_000), default: "48",
      help: "Periods that are kept in the export folder."),
  ]
}
