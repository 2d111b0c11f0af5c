import Glibc
import TestSupport
import Testing

@testable import Common

@Suite("The queue's scripts against a reference")
struct QueueModelTests {
  /// Seeds that run at the same time, each in a namespace of its own.
  private static let width = 12

  @Test("random sequences of operations, lost replies and crashes do what the reference does")
  @IO func sequences() async throws {
    let count = getenv("VISION_TEST_LONG") == nil ? 1_000 : 100_000
    let only = getenv("VISION_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
    let first = getenv("VISION_TEST_FIRST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let started = Monotonic.now()
    let clients = try ModelClients()
    defer { clients.close() }
    let failed = await firstFailure(only.map { $0...$0 } ?? first...first + UInt64(count) - 1, clients)
    let seconds = Double(Monotonic.now().nanoseconds - started.nanoseconds) / 1e9
    print("queue model: \(count) seeds from \(first) in \(seconds) s")
    guard let (seed, error) = failed else { return }
    var random = SeededRandom(seed: seed)
    let (steps, last) = await shrink(QueueStep.sequence(&random), error, clients)
    let list = steps.map { "  \($0)" }.joined(separator: "\n")
    Issue.record("VISION_TEST_SEED=\(seed) fails; \(steps.count) steps suffice:\n\(list)\n\(last)")
  }

  /// Seeds still to run, and the first that failed.
  @IO private final class Search {
    var next: UInt64
    let last: UInt64
    var failed: (seed: UInt64, error: String)?

    init(_ seeds: ClosedRange<UInt64>) {
      next = seeds.lowerBound
      last = seeds.upperBound
    }

    func run(_ failure: @IO ([QueueStep]) async -> String?) async {
      while failed == nil, next <= last {
        let seed = next
        next += 1
        var random = SeededRandom(seed: seed)
        if let error = await failure(QueueStep.sequence(&random)), failed == nil { failed = (seed, error) }
      }
    }
  }

  @IO private func firstFailure(
    _ seeds: ClosedRange<UInt64>, _ clients: ModelClients
  ) async -> (seed: UInt64, error: String)? {
    let search = Search(seeds)
    let tasks = (0..<QueueModelTests.width).map { _ in
      Task { @IO in await search.run { await failure($0, clients) } }
    }
    for task in tasks { await task.value }
    return search.failed
  }

  /// What goes wrong with a sequence; nil when nothing does.
  @IO private func failure(_ steps: [QueueStep], _ clients: ModelClients) async -> String? {
    do {
      try await TestRedis.withQueue(clock: .testKey) { queue in
        try await QueueModelRun(queue, clients).run(steps)
      }
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Leaves out ever smaller parts of a failing sequence while it still fails (Zeller's delta debugging).
  @IO private func shrink(
    _ steps: [QueueStep], _ error: String, _ clients: ModelClients
  ) async -> ([QueueStep], String) {
    var (steps, error) = (steps, error)
    var size = steps.count / 2
    while size >= 1 {
      var start = 0
      var isSmaller = false
      while start < steps.count {
        var fewer = steps
        fewer.removeSubrange(start..<min(start + size, steps.count))
        if let still = await failure(fewer, clients) {
          (steps, error) = (fewer, still)
          isSmaller = true
        } else {
          start += size
        }
      }
      if size > 1 || !isSmaller { size /= 2 }
    }
    return (steps, error)
  }
}
