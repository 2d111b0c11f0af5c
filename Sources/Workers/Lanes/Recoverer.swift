import Common

/// Takes back what dead workers left, ends what waited too long, and restores lost markers. Every worker
/// does it; a key in Redis keeps them from doing it all at once.
@IO
final class Recoverer {
  /// Between two tries of this worker, ms, and after one that found that another worker had just done it.
  static let (intervalMilliseconds, yieldedMilliseconds) = (2_000, 3_000)

  private let queue: JobQueue
  private let watch: DataWatch
  /// After Redis restarted, leases are not judged for this long: workers renew theirs first.
  private let graceMilliseconds: Int
  private var runID: String?
  /// Whether Redis may be another one than at the last look: only after a new connection.
  private var mayHaveRestarted = true
  private var notBefore = Monotonic(nanoseconds: 0)
  private var hasYielded = false

  init(queue: JobQueue, graceMilliseconds: Int) {
    self.queue = queue
    watch = DataWatch(queue: queue)
    self.graceMilliseconds = graceMilliseconds
  }

  /// Tries until `stopped` fires.
  func run(until stopped: Signal) async {
    while !stopped.isFired {
      hasYielded = false
      await runOnce()
      let pause = hasYielded ? Recoverer.yieldedMilliseconds : Recoverer.intervalMilliseconds
      await Pause.wait(milliseconds: pause, orUntil: stopped)
    }
  }

  /// The connection to Redis is a new one.
  func reconnected() { mayHaveRestarted = true }

  /// One try. Whoever may recover, once a second at most among all workers, also ends what waited too long.
  func runOnce() async {
    do throws(RedisError) {
      if mayHaveRestarted { try await watchRestart() }
      guard notBefore <= Monotonic.now() else {
        _ = try await queue.expire()
        try await watch.look()
        return
      }
      guard let pass = try await queue.recover() else {
        hasYielded = true
        return
      }
      _ = try await queue.expire()
      if pass.takenBack + pass.dead + pass.interrupted > 0 {
        Log.shared.info(
          "jobs taken back", ["jobs": pass.takenBack, "dead": pass.dead, "interrupted": pass.interrupted])
      }
      try await watch.look()
    } catch {
      Log.shared.warning("recovery failed", ["error": LoggedError(error)])
    }
  }

  /// A changed run id, or a server that just started, means that Redis restarted or failed over.
  private func watchRestart() async throws(RedisError) {
    mayHaveRestarted = false
    let id: String
    let upMilliseconds: Int
    do throws(RedisError) {
      (id, upMilliseconds) = try await identity()
    } catch {
      mayHaveRestarted = true
      throw error
    }
    guard id != runID else { return }
    let wait = runID == nil ? max(0, graceMilliseconds - upMilliseconds) : graceMilliseconds
    runID = id
    notBefore = Monotonic.now().advanced(milliseconds: wait)
  }

  /// Which Redis it is, and for how long it has been up.
  private func identity() async throws(RedisError) -> (id: String, upMilliseconds: Int) {
    let info = try await queue.redis.send("INFO", "server").text ?? ""
    let upSeconds = Recoverer.field("uptime_in_seconds", in: info).flatMap { Int($0) } ?? 0
    return (Recoverer.field("run_id", in: info) ?? "", upSeconds * 1000)
  }

  static func field(_ name: String, in info: String) -> String? {
    for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
      return String(line.dropFirst(name.count + 1))
    }
    return nil
  }
}
