import Common

/// The settings of `vision-workers`.
public enum WorkerSettings {
  /// Beside the common ones.
  public static let own: [Setting] = [
    CommonSettings.minerNetworks,
    Setting(
      "slots", .integer(1...10_000), default: "200", help: "Jobs that run at once in this process."),
    Setting(
      "reserved-share", .decimal(0.2...1), default: "0.2",
      help: "Share of the slots that only users' requests may take; 1 serves users only."),
    Setting(
      "synthetic-share", .decimal(0...0.5), default: "0.1",
      help: "Least share of the jobs of an hour that are synthetics while any are due, also under load."),
    Setting(
      "hedge-share", .decimal(0...0.5), default: "0.05",
      help: "Second requests beside silent miners, as a share of users' requests; 0 makes none."),
    Setting(
      "organic-lease-ms", .milliseconds(1_000...600_000), default: "6000",
      help: "After this time without a heartbeat a user's request is given to another worker."),
    Setting(
      "synthetic-lease-ms", .milliseconds(1_000...600_000), default: "15000",
      help: "The same for synthetic queries."),
    Setting(
      "grace-ms", .milliseconds(0...600_000), default: "25000",
      help: "Time to finish running jobs after SIGTERM; then they are handed back."),
    Setting(
      "reply-bytes-max", .integer(1_024...1 << 30), default: String(16 << 20),
      help: "Most bytes of one reply; past it the reply ends with too_large."),
    Setting(
      "response-bytes-max", .integer(1_024...1 << 30), default: String(16 << 20),
      help: "Most bytes of one miner's answer; a longer one counts as malformed."),
    Setting(
      "check-bytes-max", .integer(1 << 20...1 << 40), default: String(256 << 20),
      help: "Most bytes of all answers that wait to be checked; beyond it samples are dropped."),
    Setting(
      "lanes", .choice(["query", "check", "both"]), default: "both",
      help: "What this process does: query miners, have answers checked, or both."),
    Setting(
      "check-servers", .string(maxBytes: 8192), default: "",
      help: "Base URLs of the checking servers, with commas between; without any this process checks none."
    ),
    Setting(
      "check-lease-ms", .milliseconds(1_000...600_000), default: "30000",
      help: "After this time without a heartbeat a check, or a checking server, goes to another worker."),
    Setting(
      "check-poll-ms", .milliseconds(10...600_000), default: "3000",
      help: "Between two questions to a checking server for a verdict."),
    Setting(
      "check-busy-ms", .milliseconds(10...600_000), default: "20000",
      help: "How long a checking server that works for somebody else is left alone."),
    Setting(
      "check-backoff-ms", .milliseconds(10...3_600_000), default: "60000",
      help: "How long a failing checking server is left alone at first; at most five times that."),
    Setting(
      "check-timeout-ms", .milliseconds(1_000...3_600_000), default: "180000",
      help: "The longest wait for a checking server to take a check."),
    Setting(
      "corpus-file", .path, help: "Sentences for synthetic queries instead of the built-in ones."),
    Setting(
      "query-shapes", .path,
      help: "A JSON file that says how users ask; synthetic queries get their parameters from it."),
    Setting(
      "miner-token", .string(maxBytes: 4096), isSecret: true,
      help: "Bearer token sent to miners; none is sent without it."),
  ]
}
