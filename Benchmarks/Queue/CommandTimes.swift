import Common

/// Redis's own time for a command, by `INFO commandstats`: what a script's commands take counts for the script too.
@IO
struct CommandTimes {
  private let redis: RedisClient

  /// Begins to count anew.
  init(_ redis: RedisClient) async throws {
    self.redis = redis
    _ = try await redis.send("CONFIG", "RESETSTAT")
  }

  /// Mean time of a call since then, in microseconds; 0 without a call.
  func microseconds(of command: String) async throws -> Double {
    let info = try await redis.send("INFO", "commandstats").text ?? ""
    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):") }
    let field = line?.split(separator: ",").first { $0.hasPrefix("usec_per_call=") }
    return field.flatMap { Double($0.dropFirst("usec_per_call=".count)) } ?? 0
  }
}
