import Common

/// Redis's own time for a command, by `INFO latencystats`: what a script's commands take counts for the script too.
@IO
struct CommandTimes {
  private let redis: RedisClient

  /// Begins to count anew.
  init(_ redis: RedisClient) async throws {
    self.redis = redis
    _ = try await redis.send("CONFIG", "RESETSTAT")
  }

  /// The median time of a call since then, in microseconds. Without a call it throws: 0 would be taken for a time.
  func median(of command: String) async throws -> Double {
    let info = try await redis.send("INFO", "latencystats").text ?? ""
    let start = "latency_percentiles_usec_\(command):p50="
    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix(start) }
    guard let median = line.flatMap({ Double($0.dropFirst(start.count).prefix { $0 != "," }) }) else {
      throw BenchFailure("Redis knows no times of \(command)")
    }
    return median
  }
}
