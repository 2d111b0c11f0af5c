import Common

/// What a load did.
struct LoadResult {
  var count = 0
  var seconds = 0.0
  /// Processor time of this process.
  var microseconds = 0.0

  var perSecond: Double { Double(count) / seconds }
  var microsecondsEach: Double { microseconds / Double(max(1, count)) }
}

/// Keeps a number of operations under way for a time, and counts those that end.
@IO
final class Load {
  private static let warmUpMilliseconds = 300
  private var count = 0
  private var isOver = false
  private var failure: (any Error)?

  private init() {}

  /// Runs `operation` in `width` loops; what ends in the first moments does not count.
  /// - Throws: the first error of an operation, or `CancellationError`.
  static func run(
    width: Int, seconds: Double, _ operation: @escaping @IO () async throws -> Void
  ) async throws -> LoadResult {
    let load = Load()
    let loops = (0..<width).map { _ in IO.task { @IO in await load.loop(operation) } }
    await EventLoop.shared.sleep(milliseconds: warmUpMilliseconds)
    let (before, cpu, start) = (load.count, ProcessFigures.ownMicroseconds(), Monotonic.now())
    await EventLoop.shared.sleep(milliseconds: Int(seconds * 1000))
    let elapsed = Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e9
    let result = LoadResult(
      count: load.count - before, seconds: elapsed, microseconds: ProcessFigures.ownMicroseconds() - cpu)
    load.isOver = true
    for loop in loops { await loop.value }
    if let failure = load.failure { throw failure }
    try Task.checkCancellation()
    guard result.count > 0 else { throw BenchFailure("nothing ended in \(seconds) s") }
    return result
  }

  private func loop(_ operation: @IO () async throws -> Void) async {
    while !isOver {
      do {
        try await operation()
        count += 1
      } catch {
        failure = failure ?? error
        isOver = true
      }
    }
  }
}
