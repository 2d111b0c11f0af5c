/// The settings that every program has. A program's table starts with them.
public enum CommonSettings {
  /// Where Redis is.
  public static let redisURL = Setting(
    "redis-url", .url(schemes: ["redis", "unix", "redis+sentinel"]), default: "redis://127.0.0.1:6379/0",
    help: "Where Redis is: redis://host:port/database, unix:///path/of/the.sock, or the Sentinels that know"
      + " the master and its name there: redis+sentinel://host:port,host:port,host:port/NAME.")

  /// The password for Redis, apart from the URL.
  public static let redisPassword = Setting(
    "redis-password", .string(maxBytes: 1024), isSecret: true,
    help: "The password for Redis; wins over one in the URL.")

  /// The user of Redis, apart from the URL.
  public static let redisUser = Setting(
    "redis-user", .string(maxBytes: 256),
    help: "The user to log in to Redis as, such as vision-worker; wins over one in the URL.")

  /// Where the password for Redis stands.
  public static let redisPasswordFile = Setting(
    "redis-password-file", .path,
    help: "A file that holds the password for Redis and that only its owner can read; wins over one in the"
      + " URL.")

  /// The password of the Sentinels, which have users of their own.
  public static let sentinelPassword = Setting(
    "redis-sentinel-password", .string(maxBytes: 1024), isSecret: true,
    help: "The password of the Sentinels, where they have one.")

  /// How to reach Redis: what every program has that talks to it.
  public static let redis = [redisURL, redisUser, redisPassword, redisPasswordFile, sentinelPassword]

  /// The first part of every key.
  public static let namespace = Setting(
    "namespace", .name, default: "vision",
    help: "The first part of every key in Redis, so that several pipelines can share one server.")

  /// The file with tasks and policies.
  public static let config = Setting(
    "config", .path, default: "vision.json", help: "The file that describes tasks, scoring and limits.")

  /// How much is logged.
  public static let logLevel = Setting(
    "log-level", .choice(LogLevel.allCases.map(\.rawValue)), default: "info",
    help: "The least important lines that are logged to stderr.")

  /// How it is logged.
  public static let logFormat = Setting(
    "log-format", .choice(LogFormat.allCases.map(\.rawValue)), default: "logfmt",
    help: "How a line of the log is written.")

  /// A sign of life for supervisors.
  public static let healthFile = Setting(
    "health-file", .path,
    help: "A file that is touched every 5 seconds while the program's loop turns, and removed when it ends."
      + " Its age is the sign of life for a supervisor.")

  /// Which addresses of miners are believed.
  public static let minerNetworks = Setting(
    "miner-networks", .networks, default: "public",
    help: "Where miners may be, with commas between: public (the open Internet), any, a network such as"
      + " 10.0.0.0/8, or !10.0.0.0/8 to exclude one. A miner elsewhere is not contacted, whatever its name"
      + " resolves to.")

  /// What a program needs that talks to Redis and runs until it is stopped.
  public static let service = redis + [namespace, config] + process

  /// What a program needs that does not talk to Redis.
  public static let process = [logLevel, logFormat, healthFile]
}
