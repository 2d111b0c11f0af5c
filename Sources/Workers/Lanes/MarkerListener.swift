import Common

/// Listens, on a connection of its own, for the markers that say that work waits, but for users' requests, which
/// ``OrganicListener`` takes. A marker is never a job: one that is lost with a connection costs a little time,
/// and nothing else.
@IO
package final class MarkerListener {
  /// What a marker says.
  package enum Event {
    /// A synthetic is due at this time (Unix ms, Redis's clock).
    case due(Int)
    /// An answer waits to be checked, from this time on.
    case check(Int)
    /// A job of this worker was cancelled.
    case cancelled(String)
  }

  /// Longest wait in one command, in seconds.
  static let blockSeconds = 5
  /// A reply that is later than this after the wait should have ended will not come.
  static let graceMilliseconds = 1_500

  private let redis: RedisClient
  private let keys: Keys
  private let worker: String
  /// The lanes of the command that is on its way.
  private var listening: [Keys.Fixed] = []

  package init(redis: RedisClient, keys: Keys, worker: String) {
    self.redis = redis
    self.keys = keys
    self.worker = worker
  }

  /// How a listener's connection is to be made: a command waits for the one before it, and who cuts one connection
  /// after the other is answered slowly, since no job is lost meanwhile.
  package static func options(name: String) -> RedisClient.Options {
    var options = RedisClient.Options(name: name)
    options.commandTimeoutMilliseconds = blockSeconds * 1000 + graceMilliseconds
    options.unsteadyMilliseconds = RedisClient.reconnectMaxMilliseconds
    return options
  }

  /// Listens until `stopped` fires.
  /// - Parameter lanes: the marker keys that this worker can act on now.
  package func run(until stopped: Signal, lanes: () -> [Keys.Fixed], handle: (Event) -> Void) async {
    while !stopped.isFired {
      do throws(RedisError) {
        listening = lanes()
        if let event = try await next(listening) { handle(event) }
      } catch {
        guard error.code != .closed else { return }
        await Pause.wait(milliseconds: 100, orUntil: stopped)
      }
    }
  }

  /// Makes sure that `lanes` are listened to: a command that waits for fewer is woken through this worker's
  /// own marker, on another connection.
  package func ensure(_ lanes: [Keys.Fixed], through other: JobQueue) async {
    guard lanes.contains(where: { !listening.contains($0) }) else { return }
    listening = lanes
    try? await other.nudge(worker: worker)
  }

  private func next(_ lanes: [Keys.Fixed]) async throws(RedisError) -> Event? {
    var command = RedisCommand("BZPOPMIN", keys.wakeWorker(worker))
    for lane in lanes { command.add(keys.fixed(lane)) }
    command.add(MarkerListener.blockSeconds)
    let limit = MarkerListener.blockSeconds * 1000 + MarkerListener.graceMilliseconds
    let reply = try await redis.send(command, timeoutMilliseconds: limit)
    guard let items = reply.elements, items.count == 3, let key = items[0].text, let member = items[1].text,
      let score = items[2].text.flatMap(Double.init), score.isFinite
    else { return nil }
    if key == keys.wakeWorker(worker) { return member.isEmpty ? nil : .cancelled(member) }
    if key == keys.fixed(.wakeDue) { return .due(Int(score)) }
    return .check(Int(score))
  }
}
