import Common

/// Takes back what dead workers left, ends what waited too long, and restores lost markers. Every worker
/// does it; a key in Redis keeps them from doing it all at once.
@IO
final class Recoverer {
  /// Between two tries of this worker, ms.
  static let intervalMilliseconds = 2_000

  private let queue: JobQueue
  /// After Redis restarted, leases are not judged for this long: workers renew theirs first.
  private let graceMilliseconds: Int
  private var runID: String?
  private var notBefore = Monotonic(nanoseconds: 0)

  init(queue: JobQueue, graceMilliseconds: Int) {
    self.queue = queue
    self.graceMilliseconds = graceMilliseconds
  }

  /// Tries until `stopped` fires.
  func run(until stopped: Signal) async {
    while !stopped.isFired {
      await runOnce()
      await Pause.wait(milliseconds: Recoverer.intervalMilliseconds, orUntil: stopped)
    }
  }

  /// One try.
  func runOnce() async {
    do throws(RedisError) {
      try await watchRestart()
      _ = try await queue.expire()
      guard notBefore <= Monotonic.now() else { return }
      guard let pass = try await queue.recover() else { return }
      if pass.takenBack + pass.dead + pass.interrupted > 0 {
        Log.shared.info(
          "jobs taken back", ["jobs": pass.takenBack, "dead": pass.dead, "interrupted": pass.interrupted])
      }
    } catch {
      Log.shared.warning("recovery failed", ["error": LoggedError(error)])
    }
  }

  /// A changed run id, or a server that just started, means that Redis restarted or failed over.
  private func watchRestart() async throws(RedisError) {
    let info = try await queue.redis.send("INFO", "server").text ?? ""
    let id = Recoverer.field("run_id", in: info)
    guard id != runID else { return }
    let upMilliseconds = (Recoverer.field("uptime_in_seconds", in: info).flatMap { Int($0) } ?? 0) * 1000
    let wait = runID == nil ? max(0, graceMilliseconds - upMilliseconds) : graceMilliseconds
    runID = id
    notBefore = Monotonic.now().advanced(milliseconds: wait)
  }

  static func field(_ name: String, in info: String) -> String? {
    for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
      return String(line.dropFirst(name.count + 1))
    }
    return nil
  }
}
