import Common
import Foundation

/// The programs that others measure the same servers with.
@IO
enum Peers {
  /// What a peer reached.
  struct Figure {
    var perSecond: Double
    var microsecondsEach: Double
  }

  /// `redis-benchmark` with one connection and `depth` commands in each pipeline.
  static func redisBenchmark(
    _ lab: Lab, depth: Int, count: Int, command: [String]
  ) async throws -> Figure {
    let arguments =
      [
        "redis-benchmark", "-s", lab.redisSocket, "-c", "1", "-P", String(depth), "-n", String(count),
        "--csv",
      ] + command
    let (text, microseconds) = try await run(arguments)
    let line = text.split(separator: "\n").last { $0.contains(",\"") } ?? ""
    let fields = line.components(separatedBy: "\",\"")
    guard fields.count > 2, let perSecond = Double(fields[1]) else {
      throw BenchFailure("redis-benchmark answered: \(text.prefix(200))")
    }
    return Figure(perSecond: perSecond, microsecondsEach: microseconds / Double(count))
  }

  /// `wrk` with one thread, sending the same POST over `width` connections.
  static func wrk(_ lab: Lab, url: String, width: Int, body: String) async throws -> Figure {
    let script = lab.file("post.lua")
    let text = """
      wrk.method = "POST"
      wrk.body = [[\(body)]]
      wrk.headers["Content-Type"] = "application/json"
      function done(summary, latency, requests)
        local errors = summary.errors
        local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
        io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration, failed))
      end
      """
    try text.write(toFile: script, atomically: false, encoding: .utf8)
    let seconds = max(1, Int(lab.seconds.rounded()))
    let (output, microseconds) = try await run([
      "wrk", "-t1", "-c\(width)", "-d\(seconds)s", "-s", script, url,
    ])
    let line = output.split(separator: "\n").last { $0.hasPrefix("RESULT ") } ?? ""
    let numbers = line.split(separator: " ").compactMap { Double($0) }
    guard numbers.count == 3, numbers[0] > 0, numbers[2] == 0 else {
      throw BenchFailure("wrk answered: \(output.suffix(300))")
    }
    return Figure(perSecond: numbers[0] / (numbers[1] / 1e6), microsecondsEach: microseconds / numbers[0])
  }

  /// Runs a program that must end well within `seconds`: what it wrote, and its processor time in microseconds.
  static func run(_ arguments: [String], seconds: Int = 120) async throws -> (String, Double) {
    let before = ProcessFigures.endedChildrenMicroseconds()
    let limits = ChildLimits(stdoutMaxBytes: 1 << 20, timeoutMilliseconds: seconds * 1000)
    let result = try await ChildProcess.run(ChildCommand(arguments), limits: limits)
    let text = String(decoding: result.stdout, as: UTF8.self)
    guard result.status.isSuccess else {
      throw BenchFailure(
        "\(arguments[0]): \(result.status) \(String(decoding: result.stderr, as: UTF8.self))")
    }
    return (text, ProcessFigures.endedChildrenMicroseconds() - before)
  }
}
