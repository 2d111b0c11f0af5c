import Common
import Foundation

/// Workers that share one Redis, in virtual time: what many cores would do, from what one costs.
///
/// Each worker has a core of its own. Batches of work come to it at random moments; it handles each, and hands it to
/// Redis, which serves one call after the other. At most two calls of a worker are under way.
struct ScaleModel {
  /// Processor time of one item, in microseconds.
  var workerMicroseconds: Double
  var redisMicroseconds: Double
  /// Items of a call.
  var batch = 20

  /// What a number of workers does.
  struct Result: Equatable {
    /// Items done of those that came.
    var share: Double
    /// Share of its core that Redis uses.
    var redisShare: Double
    /// From the hand-over to the answer, in milliseconds; of a hundred calls the slowest.
    var callMilliseconds: Double
  }

  private static let callsMax = 2
  private static let microseconds = 20e6

  /// Items a second of each worker with which `workers` of them bring Redis to a share of its core.
  func rate(workers: Int, redisShare: Double) -> Double {
    redisShare * 1e6 / redisMicroseconds / Double(workers)
  }

  /// Twenty seconds of so many workers. Equal seeds give equal results.
  /// - Parameter perSecond: items that come to each worker.
  func run(workers: Int, perSecond: Double, seed: UInt64) -> Result {
    var random = SeededRandom(seed: seed, "scale")
    let distance = Double(batch) / perSecond * 1e6
    func pause() -> Double { -log(1 - random.uniform()) * distance }
    // When each worker's next batch comes, when it has its core back, and when its calls end.
    var arrivals = (0..<workers).map { _ in pause() }
    var free = [Double](repeating: 0, count: workers)
    var calls = [[Double]](repeating: [], count: workers)
    var (redisFree, redisBusy) = (0.0, 0.0)
    var (came, done) = (0, 0)
    var times: [Double] = []
    func start(_ worker: Int) -> Double { max(arrivals[worker], free[worker]) }
    while let next = arrivals.indices.min(by: { start($0) < start($1) }),
      start(next) < ScaleModel.microseconds
    {
      let handed = start(next) + Double(batch) * workerMicroseconds
      came += batch
      let begun = max(redisFree, handed)
      redisFree = begun + Double(batch) * redisMicroseconds
      redisBusy += Double(batch) * redisMicroseconds
      if redisFree <= ScaleModel.microseconds { done += batch }
      times.append(redisFree - handed)
      calls[next].append(redisFree)
      free[next] = handed
      if calls[next].count >= ScaleModel.callsMax { free[next] = max(handed, calls[next].removeFirst()) }
      arrivals[next] += pause()
    }
    // What has come and not been begun counts too.
    for worker in arrivals.indices {
      while arrivals[worker] < ScaleModel.microseconds {
        came += batch
        arrivals[worker] += pause()
      }
    }
    return Result(
      share: Double(done) / Double(max(1, came)), redisShare: min(1, redisBusy / ScaleModel.microseconds),
      callMilliseconds: times.quantile(0.99) / 1_000)
  }
}
