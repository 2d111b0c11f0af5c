import Common

/// Takes jobs from the queue whenever this worker has room for them.
///
/// It claims when a marker says that work waits, when the next synthetic is due, when a slot becomes free
/// after a claim that took all there was room for, and every few seconds in any case, so that no lost
/// marker can stop it.
@IO
package final class Claimer {
  /// The longest time without a claim, ms.
  static let idleMilliseconds = 5_000

  private let queue: JobQueue
  private let worker: String
  private let clock: RedisClock
  private let leases: (organic: Int, synthetic: Int)
  /// Called with each job that was claimed.
  package var start: (Grant) -> Void = { _ in }
  /// Slots, taken when a job starts.
  package private(set) var slots: Slots
  private var floor: SyntheticFloor
  private var request = 0
  private var poked = Signal()
  /// The last claim may have left work behind.
  private var mayHaveMore = true
  /// When the next synthetic is due, Unix ms.
  private var nextDue: Int?
  /// When the last claim was tried, or was not for lack of room: what tells a live worker from one that hangs.
  private(set) var lastClaimAt = Monotonic.now()
  /// Called before each wait, with the lanes that should wake this worker.
  package var onIdle: (([Keys.Fixed]) async -> Void)?
  /// Jobs claimed since the start.
  private(set) var claimedCount = 0

  package init(
    queue: JobQueue, worker: String, clock: RedisClock, slots: Slots, floor: SyntheticFloor,
    leases: (organic: Int, synthetic: Int)
  ) {
    self.queue = queue
    self.worker = worker
    self.clock = clock
    self.slots = slots
    self.floor = floor
    self.leases = leases
  }

  /// Claims until `stopped` fires.
  package func run(until stopped: Signal) async {
    let watch = stopped.onFire { self.poke() }
    defer { stopped.forget(watch) }
    while !stopped.isFired {
      poked = Signal()
      do throws(RedisError) {
        if slots.organicRoom > 0 { try await claim() } else { lastClaimAt = Monotonic.now() }
      } catch {
        Log.shared.warning("claim failed", ["error": LoggedError(error)])
        await Pause.wait(milliseconds: 200, orUntil: stopped)
        continue
      }
      if mayHaveMore && slots.organicRoom > 0 { continue }
      await onIdle?(lanes())
      await Pause.wait(milliseconds: waitMilliseconds(), orUntil: poked)
    }
    await putMarkersBack()
  }

  private func waitMilliseconds() -> Int {
    guard let nextDue, slots.syntheticRoom > 0 else { return Claimer.idleMilliseconds }
    return min(Claimer.idleMilliseconds, max(1, nextDue - clock.nowMilliseconds))
  }

  private func claim() async throws(RedisError) {
    lastClaimAt = Monotonic.now()
    request += 1
    let organicMax = min(100, slots.organicRoom)
    let syntheticMax = min(100, slots.syntheticRoom)
    let areDue = nextDue.map { $0 <= clock.nowMilliseconds } ?? false
    let kept = floor.kept(slots, areDue: areDue, at: Monotonic.now())
    let result = try await queue.claim(
      worker: worker, request: request, nonce: Nonce.make(), organicMax: organicMax,
      syntheticMax: syntheticMax, organicLeaseMilliseconds: leases.organic,
      syntheticLeaseMilliseconds: leases.synthetic, keptForSynthetics: min(kept, organicMax))
    clock.observe(nowMilliseconds: result.nowMilliseconds)
    nextDue = result.nextDueMilliseconds
    claimedCount += result.grants.count
    let organics = result.grants.count { $0.kind == .organic }
    floor.started(
      organics: organics, synthetics: result.grants.count - organics, at: Monotonic.now())
    mayHaveMore = result.grants.count >= organicMax || (organics > 0 && organics >= organicMax - kept)
    if let nextDue, nextDue <= result.nowMilliseconds, syntheticMax > 0 { mayHaveMore = true }
    for grant in result.grants {
      slots.take(isOrganic: grant.kind == .organic)
      start(grant)
    }
  }

  /// A job ended.
  package func free(_ kind: JobKind) {
    let wasFull = slots.organicRoom == 0 || slots.syntheticRoom == 0
    slots.free(isOrganic: kind == .organic)
    if wasFull {
      mayHaveMore = true
      poke()
    }
  }

  /// The marker lanes that this worker can act on.
  package func lanes() -> [Keys.Fixed] {
    var lanes: [Keys.Fixed] = []
    if slots.organicRoom > 0 { lanes.append(.wakeOrganic) }
    if slots.syntheticRoom > 0 { lanes.append(.wakeDue) }
    return lanes
  }

  /// A marker arrived.
  package func handle(_ event: MarkerListener.Event) {
    switch event {
    case .organic: poke()
    case .due(let at):
      if slots.syntheticRoom == 0 {
        // No room any more: somebody else may have some.
        IO.task { @IO in await self.putBack(at) }
      } else if at < nextDue ?? .max || at <= clock.nowMilliseconds {
        nextDue = at
        poke()
      }
    case .check, .cancelled: break
    }
  }

  private func poke() { poked.fire() }

  private func putBack(_ at: Int) async {
    _ = try? await queue.redis.send(
      "ZADD", queue.keys.fixed(.wakeDue), "LT", String(at), "due")
  }

  /// What this worker kept in mind goes to the others when it stops.
  private func putMarkersBack() async {
    if let nextDue { await putBack(nextDue) }
    _ = try? await queue.redis.send("ZADD", queue.keys.fixed(.wakeOrganic), "0", "organic")
  }
}

/// Tokens that nobody can guess or repeat.
enum Nonce {
  /// 64 random bits from the system, as 16 hexadecimal digits.
  static func make() -> String {
    let text = String(UInt64.random(in: 0 ... .max), radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}
