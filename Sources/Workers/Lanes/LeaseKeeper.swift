import Common

/// A job that this worker holds.
@IO
package final class HeldLease {
  let id: String
  let token: String
  let leaseMilliseconds: Int
  private let onEnd: (LeaseResult) -> Void
  /// Until when the lease stands in any case, by this machine's clock.
  fileprivate var until: Monotonic
  /// Whether the keeper renews it: nobody said that it is over.
  fileprivate(set) var isKept = true

  fileprivate init(id: String, token: String, milliseconds: Int, onEnd: @escaping (LeaseResult) -> Void) {
    self.id = id
    self.token = token
    leaseMilliseconds = milliseconds
    self.onEnd = onEnd
    until = Monotonic.now().advanced(milliseconds: milliseconds)
  }

  /// Whether the job is still ours: nobody said otherwise, and its lease has not run out unrenewed.
  var stands: Bool { isKept && Monotonic.now() < until }

  fileprivate func end(_ result: LeaseResult) {
    isKept = false
    onEnd(result)
  }
}

/// The jobs that this worker holds, and the heartbeat that keeps their leases.
@IO
package final class LeaseKeeper {
  /// Between two heartbeats, ms: a third of the shortest lease.
  let intervalMilliseconds: Int
  /// A worker whose heartbeat is older is dead.
  static let lifeMilliseconds = 10_000
  /// Between two heartbeats of a worker that holds nothing, ms.
  static let idleMilliseconds = 5_000

  /// Before a heartbeat that failed is repeated, ms: doubled with each failure after the first, up to the most.
  private static let (repeatMilliseconds, repeatMaxMilliseconds) = (50, 800)
  /// Most jobs of one call, and the longest rest between two calls, in ms.
  private static let (batchMax, pauseMilliseconds) = (100, 10)

  /// Repeats nothing by itself: what is sent again must hold the jobs that came meanwhile.
  private let queue: JobQueue
  private let worker: String
  private let clock: RedisClock
  private var held: [String: HeldLease] = [:]
  private var lastBeatAt: Monotonic?
  /// Name and value pairs of the worker's record.
  var record: () -> [String] = { [] }

  package init(queue: JobQueue, worker: String, clock: RedisClock, intervalMilliseconds: Int) {
    self.queue = JobQueue(redis: queue.redis, keys: queue.keys)
    self.queue.patienceMilliseconds = 0
    self.worker = worker
    self.clock = clock
    self.intervalMilliseconds = intervalMilliseconds
  }

  /// Begins to keep a job's lease. `onEnd` is called at most once, when the job is no longer ours.
  package func hold(
    id: String, token: String, leaseMilliseconds: Int, onEnd: @escaping (LeaseResult) -> Void
  ) -> HeldLease {
    let lease = HeldLease(id: id, token: token, milliseconds: leaseMilliseconds, onEnd: onEnd)
    // One that was held before was lost meanwhile, which nobody has told yet.
    held.updateValue(lease, forKey: id)?.isKept = false
    return lease
  }

  /// The job ended by our doing.
  package func drop(_ lease: HeldLease) {
    guard lease.isKept else { return }
    lease.isKept = false
    held[lease.id] = nil
  }

  /// The user cancelled the job.
  func cancelled(id: String) { held.removeValue(forKey: id)?.end(.cancelled) }

  /// Beats until `stopped` fires.
  package func run(until stopped: Signal) async {
    var repeatAfter = LeaseKeeper.repeatMilliseconds
    while !stopped.isFired {
      let isRecent =
        lastBeatAt.map { Monotonic.now().milliseconds(since: $0) < LeaseKeeper.idleMilliseconds } ?? false
      let isDone = held.isEmpty && isRecent ? true : await beat()
      await Pause.wait(milliseconds: isDone ? intervalMilliseconds : repeatAfter, orUntil: stopped)
      repeatAfter =
        isDone
        ? LeaseKeeper.repeatMilliseconds : min(2 * repeatAfter, LeaseKeeper.repeatMaxMilliseconds)
    }
  }

  /// One heartbeat for all jobs. Between its calls others have their turn in Redis: tokens do not wait until the
  /// leases of thousands are renewed.
  /// - Returns: false when a call failed; the heartbeat is to be repeated.
  private func beat() async -> Bool {
    lastBeatAt = Monotonic.now()
    // Jobs that come while there is no connection belong to the list.
    try? await queue.redis.waitForConnection()
    let all = Array(held.values)
    let calls = max(1, (all.count + LeaseKeeper.batchMax - 1) / LeaseKeeper.batchMax)
    // All of them within a quarter of the time until the next heartbeat.
    let pause = min(LeaseKeeper.pauseMilliseconds, intervalMilliseconds / 4 / calls)
    for call in 0..<calls {
      if call > 0, pause > 0 { await EventLoop.shared.sleep(milliseconds: pause) }
      let batch = Array(all[min(all.count, call * LeaseKeeper.batchMax)...].prefix(LeaseKeeper.batchMax))
      let sentAt = Monotonic.now()
      do throws(RedisError) {
        let answer = try await queue.renew(
          worker: worker, lifeMilliseconds: LeaseKeeper.lifeMilliseconds, record: call == 0 ? record() : [],
          jobs: batch.map { ($0.id, $0.token, $0.leaseMilliseconds) })
        clock.observe(nowMilliseconds: answer.nowMilliseconds)
        for (id, result) in answer.ended { lost(id, result, among: batch) }
        for lease in batch where lease.isKept {
          lease.until = sentAt.advanced(milliseconds: lease.leaseMilliseconds)
        }
      } catch {
        Log.shared.warning("heartbeat failed", ["error": LoggedError(error)])
        return false
      }
    }
    return true
  }

  private func lost(_ id: String, _ result: LeaseResult, among batch: [HeldLease]) {
    // The job may have ended, and even been claimed anew, while the call was on its way.
    guard let lease = batch.first(where: { $0.id == id }), lease.isKept else { return }
    held[id] = nil
    lease.end(result)
  }
}
