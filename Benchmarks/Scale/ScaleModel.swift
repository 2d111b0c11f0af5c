import Common

/// Workers that share one Redis, in virtual time: what many cores would do, from what one costs.
///
/// Each worker has a core of its own. It handles a batch, hands it to Redis, which serves one call after the other,
/// and goes on with the next while at most two of its calls are under way.
struct ScaleModel {
  /// Processor time of one item, in microseconds.
  var workerMicroseconds: Double
  var redisMicroseconds: Double
  /// Items of a call.
  var batch = 20

  /// What a number of workers does.
  struct Result: Equatable {
    var perSecond: Double
    /// Share of its core that Redis uses.
    var redisShare: Double
  }

  private static let callsMax = 2
  private static let seconds = 4.0

  /// Four seconds of so many workers that never lack work. Equal seeds give equal results.
  func run(workers: Int, seed: UInt64) -> Result {
    var random = SeededRandom(seed: seed, "scale")
    // When each worker has its core back, and when its calls end.
    var free = [Double](repeating: 0, count: workers)
    var calls = [[Double]](repeating: [], count: workers)
    var redisFree = 0.0
    var redisBusy = 0.0
    var items = 0
    let end = ScaleModel.seconds * 1e6
    while let next = free.indices.min(by: { free[$0] < free[$1] }), free[next] < end {
      // Between half and one and a half times the mean: no two workers march in step.
      let work = Double(batch) * workerMicroseconds * (0.5 + random.uniform())
      let handed = free[next] + work
      let service = Double(batch) * redisMicroseconds
      redisFree = max(redisFree, handed) + service
      redisBusy += service
      if redisFree <= end { items += batch }
      calls[next].append(redisFree)
      free[next] = handed
      if calls[next].count >= ScaleModel.callsMax { free[next] = max(handed, calls[next].removeFirst()) }
    }
    return Result(
      perSecond: Double(items) / ScaleModel.seconds, redisShare: min(1, redisBusy / max(end, redisFree)))
  }

  /// Workers, as a fraction, with which Redis is busy for this share of the time, when all of them are.
  func workers(atRedisShare share: Double) -> Double { share * workerMicroseconds / redisMicroseconds }
}
