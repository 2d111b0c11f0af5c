import Common
import Foundation
import Glibc

/// Requests through our HTTP client in a process of their own, whose instructions can be counted.
enum CountedRequests {
  /// The argument that makes this program do it: `requests WIDTH COUNT IDLE HOLD-PORT PORT…`.
  static let verb = "requests"

  private static let counts = (few: 4_096, many: 12_288)

  /// Instructions of one request.
  /// - Parameters:
  ///   - width: requests under way, each to another of the flood's ports.
  ///   - idle: silent streams that are open to `hold` meanwhile.
  @IO static func instructions(
    _ lab: Lab, width: Int, flood: Lab.Server, idle: Int = 0, hold: Lab.Server? = nil
  ) async throws -> Double {
    var totals: [Double] = []
    for count in [counts.few, counts.many] {
      let callgrind = try await Callgrind(lab, program: "vision-bench")
      let process = try lab.start(
        callgrind.command + [verb]
          + [width, count, idle, hold?.port ?? 0].map(String.init)
          + flood.ports.prefix(width).map(String.init),
        isServer: false)
      let status = await process.waitForExit()
      guard status == .exited(0) else {
        throw BenchFailure("counted requests ended: \(String(describing: status))")
      }
      totals.append(try callgrind.total())
      await lab.end(process)
    }
    return (totals[1] - totals[0]) / Double(counts.many - counts.few)
  }

  /// Does the requests and ends the process.
  static func main(_ arguments: [String]) -> Never {
    let numbers = arguments.compactMap { Int($0) }
    EventLoop.shared.reserve()
    IO.task { @IO in
      do {
        guard numbers.count > 4, numbers.count == arguments.count, numbers.count == 4 + numbers[0] else {
          throw BenchFailure("\(verb) WIDTH COUNT IDLE HOLD-PORT PORT…")
        }
        try await run(
          count: numbers[1], idle: numbers[2], hold: "http://127.0.0.1:\(numbers[3])", ports: numbers[4...])
        exit(0)
      } catch {
        FileHandle.standardError.write(Data("\(verb): \(error)\n".utf8))
        exit(1)
      }
    }
    EventLoop.shared.run()
    exit(0)
  }

  @IO private static func run(count: Int, idle: Int, hold: String, ports: ArraySlice<Int>) async throws {
    let client = HTTPClient()
    let streams = OpenStreams()
    try await streams.open(idle, client, url: hold)
    var left = count
    let loops = ports.map { port in
      let url = "http://127.0.0.1:\(port)"
      return IO.task { @IO in
        while left > 0 {
          left -= 1
          try await PostBench.post(client, url, patienceMilliseconds: 60_000)
        }
      }
    }
    for loop in loops { try await loop.value }
  }
}
