import Common
import Foundation
import TestSupport
import Testing

/// A queue with something in it, and the built program `vision` pointed at it.
@IO
struct CommandBench {
  let queue: JobQueue
  let bench: QueueBench

  nonisolated static let program = BuiltProgram("vision")

  /// Runs `body` on a queue whose scripts read a clock that starts a minute before the present: what the
  /// program's own calls see is the present.
  static func with(_ body: @IO (CommandBench) async throws -> Void) async throws {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      let bench = QueueBench(queue)
      try await bench.pass(WallClock.nowMilliseconds() - 60_000 - bench.now)
      try await bench.send("HSET", .tasks, "chat", "{}", "image", "{}")
      try await body(CommandBench(queue: queue, bench: bench))
    }
  }

  /// The settings that point a program at the queue: those that only look do so as the operator.
  func environment(of arguments: [String] = []) throws -> [String: String] {
    let looks = ["status", "fsck", "ledger"].contains(arguments.first) || arguments == ["dead"]
    let role: RedisRole = looks && !arguments.contains("--repair") ? .operator : .admin
    return try TestRedis.environment(as: role).merging(["VISION_NAMESPACE": namespace]) { $1 }
  }

  /// The first part of the queue's keys.
  var namespace: String { String(queue.keys.prefix.prefix { $0 != ":" }) }

  /// Runs a command of the program to its end.
  func vision(_ arguments: String...) async throws -> BuiltProgram.Outcome {
    try await CommandBench.program.run(arguments, adding: environment(of: arguments))
  }

  /// Lets the job that waits first be left behind by three workers, so that it is given up.
  func giveUpFirst(synthetics: Int = 0) async throws {
    for number in 1...3 {
      let grants = try await bench.claim("dying-\(number)", organics: 1, synthetics: synthetics).grants
      #expect(grants.count == 1)
      try await bench.kill("dying-\(number)")
      try await bench.pass(15_001)
      try await bench.recover()
    }
  }

  /// Waits until a user's request waits, as an idle worker does.
  func organicWaits() async throws {
    _ = try await queue.redis.send(
      RedisCommand("BZPOPMIN", queue.keys.fixed(.wakeOrganic), "30"), timeoutMilliseconds: 40_000)
  }
}
