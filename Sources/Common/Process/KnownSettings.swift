/// The names of the settings of every program, in one place: programs share the environment and may share a
/// settings file, so each must tell the settings of the others from typing errors.
public enum KnownSettings {
  /// Every name, except those that each program has (`settings`, `help`, `version`).
  public static let names: Set<String> = Set(
    common + producer + workers + aggregator + simulator + commands)

  private static let common = [
    "redis-url", "redis-user", "redis-password", "redis-password-file", "redis-sentinel-password",
    "namespace", "config", "log-level",
    "log-format", "health-file",
    "miner-networks",
  ]
  private static let producer = [
    "roster-file", "roster-command", "roster-seconds", "period-seconds", "periods",
    "waiting-max", "payload-bytes-max",
  ]
  private static let workers = [
    "slots", "reserved-share", "synthetic-share", "hedge-share", "organic-lease-ms", "synthetic-lease-ms",
    "grace-ms", "reply-bytes-max", "response-bytes-max", "check-bytes-max", "corpus-file", "query-shapes",
    "miner-token", "lanes", "check-servers",
    "check-lease-ms", "check-poll-ms", "check-busy-ms", "check-backoff-ms", "check-timeout-ms",
  ]
  private static let aggregator = [
    "weights-file", "weights-command", "weights-command-timeout", "weights-tries", "dry-run", "history-max",
    "ledger-keep-periods", "export-directory", "export-keep-periods",
  ]
  private static let simulator = [
    "port", "port-file", "seed", "miners", "profile", "cheats", "behaviours", "base-port", "roster", "truth",
    "validator-hotkey", "check-time", "model-switch-time", "slow-time", "faults", "tokens",
    "tokens-per-second", "plain", "journal", "fault", "ports",
  ]
  /// Those of the commands of `vision`.
  private static let commands = [
    "period", "workers", "producers", "aggregators", "organics-per-second", "kill-worker-after",
    "stop-checker-after", "stop-redis-after", "keep", "json", "watch", "live", "repair", "task", "id",
    "payload",
    "account", "deadline-ms", "limit", "explain", "what-if", "directory", "all", "offline", "from", "to",
    "output", "stream", "cancel-after", "wait-replicas", "wait-ms",
  ]
}
