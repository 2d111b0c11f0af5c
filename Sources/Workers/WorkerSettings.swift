import Common

/// The settings of `vision-workers`.
public enum WorkerSettings {
  /// Beside the common ones.
  public static let own: [Setting] = [
    Setting(
      "slots", .integer(1...10_000), default: "200", help: "Jobs that run at once in this process."),
    Setting(
      "reserved-share", .decimal(0.2...1), default: "0.2",
      help: "Share of the slots that only users' requests may take; 1 serves users only."),
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
      "corpus-file", .path, help: "Sentences for synthetic queries instead of the built-in ones."),
    Setting(
      "miner-token", .string(maxBytes: 4096), isSecret: true,
      help: "Bearer token sent to miners; none is sent without it."),
  ]
}
