import Common

/// Takes users' requests in the moment in which they come.
///
/// On a connection of its own it waits for the marker of organics, and has sent a claim of one job behind that
/// wait: Redis executes it as soon as it gave the marker, so that the job comes with it, and no way to Redis and
/// back lies between. What waits beyond the one ``Claimer`` takes, many at once. When no request comes the claim is
/// executed at the end of the wait, and is the look that an idle worker has at the queue.
@IO
package final class OrganicListener {
  /// How long the outcome of a claim is asked for when its answer did not come; its lease mends the rest.
  private static let patienceMilliseconds = 3_000
  /// Pause after a failure.
  private static let pauseMilliseconds = 200
  private static let series = "organics"

  private let redis: RedisClient
  private let behind: JobQueue
  private let other: JobQueue
  private let worker: String
  private let claimer: Claimer
  private let leases: (organic: Int, synthetic: Int)
  private var request = 0

  /// A listener of one worker.
  /// - Parameters:
  ///   - redis: a connection with ``MarkerListener/options(name:)`` that nobody else uses; it is closed in the end.
  ///   - queue: the worker's queue, on another connection.
  package init(
    redis: RedisClient, queue: JobQueue, worker: String, claimer: Claimer,
    leases: (organic: Int, synthetic: Int)
  ) {
    self.redis = redis
    self.worker = worker
    self.claimer = claimer
    self.leases = leases
    behind = JobQueue(redis: redis, keys: queue.keys)
    behind.patienceMilliseconds = 0
    other = JobQueue(redis: queue.redis, keys: queue.keys)
    other.patienceMilliseconds = OrganicListener.patienceMilliseconds
  }

  /// Listens until `stopped` fires, and then until it is known what the last claim brought.
  package func run(until stopped: Signal) async {
    let watch = stopped.onFire { self.redis.close() }
    defer { stopped.forget(watch) }
    while !stopped.isFired {
      guard await isConnected(stopped), await claimer.keepSlot(until: stopped) else { continue }
      guard redis.isConnected else {
        claimer.useSlot(nil)
        continue
      }
      request += 1
      let nonce = Nonce.make()
      // Both leave in one write: tasks begin in the order in which they are made.
      let wait = IO.task { @IO in await self.waitForMarker() }
      let claim = IO.task { @IO in await self.claimBehind(nonce) }
      switch await claim.value {
      case .success(let result): claimer.useSlot(result)
      case .failure: await makeGood(nonce, stopped)
      }
      if let failure = await wait.value { await report(failure, stopped) }
    }
  }

  /// Whether there is a connection, which may take a while; no slot is kept meanwhile.
  private func isConnected(_ stopped: Signal) async -> Bool {
    do throws(RedisError) {
      try await redis.waitForConnection()
      return true
    } catch {
      await report(error, stopped)
      return false
    }
  }

  private func report(_ failure: RedisError, _ stopped: Signal) async {
    guard !stopped.isFired else { return }
    Log.shared.warning("listening for organics failed", ["error": LoggedError(failure)])
    await Pause.wait(milliseconds: OrganicListener.pauseMilliseconds, orUntil: stopped)
  }

  /// Returns why there was no waiting, if so.
  private func waitForMarker() async -> RedisError? {
    do throws(RedisError) {
      _ = try await redis.send(
        "BZPOPMIN", behind.keys.fixed(.wakeOrganic), String(MarkerListener.blockSeconds))
      return nil
    } catch {
      return error
    }
  }

  private func claimBehind(_ nonce: String) async -> Result<ClaimResult, RedisError> {
    do throws(RedisError) {
      return .success(try await claim(behind, nonce, most: 1))
    } catch {
      return .failure(error)
    }
  }

  private func claim(_ queue: JobQueue, _ nonce: String, most: Int) async throws(RedisError) -> ClaimResult {
    try await queue.claim(
      worker: worker, request: request, series: OrganicListener.series, nonce: nonce, organicMax: most,
      syntheticMax: 0, organicLeaseMilliseconds: leases.organic,
      syntheticLeaseMilliseconds: leases.synthetic)
  }

  /// The same claim on the other connection: it brings what was granted while the answer was lost, and the first
  /// one, should it still wait in Redis, grants nothing any more.
  private func makeGood(_ nonce: String, _ stopped: Signal) async {
    do throws(RedisError) {
      claimer.useSlot(try await claim(other, nonce, most: stopped.isFired ? 0 : 1))
    } catch {
      Log.shared.warning("claim failed", ["error": LoggedError(error)])
      claimer.useSlot(nil)
    }
  }
}
