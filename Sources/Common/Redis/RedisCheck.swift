/// Whether a Redis server may be trusted with the queue: what it says about itself, and what follows.
public struct RedisCheck: Sendable, Equatable {
  /// The oldest version whose commands the scripts may use.
  public static let versionMin = "7.0"
  /// The most by which Redis's clock may differ from this machine's before it is worth a warning, in ms.
  /// All times of jobs are Redis's; the wall clock is in logs and in what leaves the pipeline.
  public static let clockSkewMaxMilliseconds = 1_000

  /// The largest part of the machine's memory that Redis may be given before it is worth a warning.
  static let memoryShareMax = 0.8

  /// All fields of `INFO`, as Redis names them (https://redis.io/docs/latest/commands/info/).
  public let info: [String: String]
  /// Redis's clock minus this machine's, in ms; 0 where the round trip explains the difference.
  public let clockSkewMilliseconds: Int

  /// Takes the text that `INFO` answers.
  public init(info text: String, clockSkewMilliseconds: Int) {
    var info: [String: String] = [:]
    for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      info[String(line[..<colon])] = String(line[line.index(after: colon)...])
    }
    self.info = info
    self.clockSkewMilliseconds = clockSkewMilliseconds
  }

  /// Asks a server.
  @IO public static func read(_ redis: RedisClient) async throws(RedisError) -> RedisCheck {
    guard let text = try await redis.send("INFO").text else {
      throw RedisError(.unexpectedReply, "INFO answered no text")
    }
    let before = WallClock.nowMilliseconds()
    let reply = try await redis.send("TIME")
    let after = WallClock.nowMilliseconds()
    guard let seconds = reply[0]?.int, let micros = reply[1]?.int else {
      throw RedisError(.unexpectedReply, "TIME answered no time")
    }
    return RedisCheck(
      info: text,
      clockSkewMilliseconds: skew(seconds * 1000 + micros / 1000, between: before, and: after))
  }

  /// How far `time` lies outside of the time in which it was read, in ms. Both ends may have been rounded
  /// down, which counts for nothing.
  static func skew(_ time: Int, between before: Int, and after: Int) -> Int {
    if time < before - 1 { return time - before }
    return time > after + 1 ? time - after : 0
  }

  /// Whether the server still reads its data and answers nothing else.
  public var isLoading: Bool { info["loading"] == "1" }

  /// Why nothing may run on this server; nil when it is fit.
  public var refusal: String? {
    let version = info["redis_version"] ?? "of an unknown version"
    if RedisCheck.isOlder(version, than: RedisCheck.versionMin) {
      return "Redis \(version) is too old: \(RedisCheck.versionMin) or newer is needed"
    }
    if info["role"] != "master" {
      return "Redis is a replica, and only its master takes writes: name the master"
    }
    let policy = info["maxmemory_policy"] ?? "unknown"
    if policy != "noeviction" {
      return "Redis's maxmemory-policy is \(policy), which loses jobs when memory runs out: set noeviction"
    }
    return nil
  }

  /// What an operator should know about a server that is fit.
  public var warnings: [String] {
    var warnings: [String] = []
    if info["aof_enabled"] != "1" {
      warnings.append("appendonly is off: jobs and outcomes since the last snapshot are lost when Redis ends")
    }
    if let status = info["aof_last_write_status"], status != "ok" {
      warnings.append("the append-only file could not be written (\(status)): look at the disk")
    }
    if info["maxmemory"] == "0" {
      warnings.append(
        "maxmemory is 0: the system ends Redis when memory runs out, instead of intake stopping")
    }
    if let most = number("maxmemory"), let there = number("total_system_memory"), there > 0,
      Double(most) > RedisCheck.memoryShareMax * Double(there)
    {
      warnings.append(
        "maxmemory is more than 80 % of the machine's memory: rewriting the append-only file needs the rest")
    }
    if (number("connected_slaves") ?? 0) > 0, info["min_slaves_good_slaves"] == nil {
      warnings.append(
        "it has replicas and min-replicas-to-write is 0: a master that is cut off takes writes that a failover loses"
      )
    }
    if abs(clockSkewMilliseconds) > RedisCheck.clockSkewMaxMilliseconds {
      let direction = clockSkewMilliseconds > 0 ? "ahead of" : "behind"
      warnings.append(
        "Redis's clock is \(abs(clockSkewMilliseconds)) ms \(direction) this machine's: check NTP on both")
    }
    return warnings
  }

  private func number(_ name: String) -> Int? { info[name].flatMap { Int($0) } }

  /// Compares dotted numbers; what is no number is older than any.
  static func isOlder(_ version: String, than least: String) -> Bool {
    func numbers(_ text: String) -> [Int] { text.split(separator: ".").map { Int($0) ?? -1 } }
    return numbers(version).lexicographicallyPrecedes(numbers(least))
  }
}
