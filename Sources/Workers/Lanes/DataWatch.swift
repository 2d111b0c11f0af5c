import Common

/// Notices that Redis is not what it was: emptied, loaded with other data, or without the functions that
/// gateways call. Workers go on with what there is; that something is gone must not stay unnoticed.
@IO
final class DataWatch {
  /// Between two looks, ms.
  static let intervalMilliseconds = 2_000

  private let queue: JobQueue
  private var known: String?
  private var lastLookAt: Monotonic?
  private var wasPublished = false
  /// Times that data was lost.
  private(set) var losses = 0

  init(queue: JobQueue) { self.queue = queue }

  /// Looks, unless it did so a moment ago. What is missing is made good and said aloud.
  func look() async throws(RedisError) {
    let now = Monotonic.now()
    if let lastLookAt, now.milliseconds(since: lastLookAt) < DataWatch.intervalMilliseconds { return }
    lastLookAt = now
    let mark = known ?? Nonce.make()
    let reply = try await queue.redis.send(
      "SET", queue.keys.fixed(.born), mark, "NX", "GET")
    let found = reply.text ?? mark
    if let known, reply.isNull || found != known {
      losses += 1
      Log.shared.error(
        "Redis lost its data: requests, planned queries and outcomes that were there are gone",
        ["mark": found])
    }
    known = found
    let isPublished = try await FunctionLibrary.isPublished(on: queue.redis)
    defer { wasPublished = isPublished }
    guard !isPublished else { return }
    if wasPublished {
      Log.shared.warning("the functions for gateways are gone", ["library": FunctionLibrary.name])
    }
    // Where users of Redis have roles, the producer does it.
    await GatewayDoor.open(queue.redis)
  }
}
