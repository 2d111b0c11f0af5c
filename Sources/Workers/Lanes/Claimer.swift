import Common

/// Takes jobs from the queue whenever this worker has room for them.
///
/// It claims when the next synthetic is due, when ``OrganicListener`` leaves organics waiting, when a slot becomes
/// free after a claim that took all there was room for, and every few seconds in any case, be it by that listener,
/// so that no lost marker can stop it.
@IO
package final class Claimer {
  /// The longest time without a claim, ms: longer than the waits of ``OrganicListener``.
  static let idleMilliseconds = 6_000
  /// A query that is overdue by this much, in ms, waits for want of a marker.
  private static let overdueMilliseconds = 1_000

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
  /// A slot is kept for the claim of ``OrganicListener``.
  private var keepsSlot = false
  /// Slots that a claim on its way may take.
  private var claiming = 0
  private var roomed = Signal()
  /// The last claim may have left work behind.
  private var mayHaveMore = true
  /// When the next synthetic is due, Unix ms.
  private var nextDue: Int?
  /// When the last claim was tried, or was not for lack of room or of need: what tells a live worker from one
  /// that hangs.
  private(set) var lastClaimAt = Monotonic.now()
  /// When somebody of this worker last looked at all that waits.
  private var lookedAt = Monotonic.now()
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
    let watch = stopped.onFire {
      self.poke()
      self.roomed.fire()
    }
    defer { stopped.forget(watch) }
    while !stopped.isFired {
      poked = Signal()
      do throws(RedisError) {
        lastClaimAt = Monotonic.now()
        if room > 0 { try await claim() } else { lookedAt = lastClaimAt }
      } catch {
        Log.shared.warning("claim failed", ["error": LoggedError(error)])
        await Pause.wait(milliseconds: 200, orUntil: stopped)
        continue
      }
      if mayHaveMore && room > 0 { continue }
      await onIdle?(lanes())
      while !poked.isFired, case let wait = waitMilliseconds(), wait > 0 {
        await Pause.wait(milliseconds: wait, orUntil: poked)
        lastClaimAt = Monotonic.now()
      }
    }
  }

  /// Jobs that may be claimed now.
  private var room: Int { slots.organicRoom - (keepsSlot ? 1 : 0) }
  /// Synthetics among them.
  private var syntheticRoom: Int { min(slots.syntheticRoom, room) }

  private func waitMilliseconds() -> Int {
    let idle = Claimer.idleMilliseconds - Monotonic.now().milliseconds(since: lookedAt)
    guard let nextDue, syntheticRoom > 0 else { return idle }
    return min(idle, nextDue - clock.nowMilliseconds)
  }

  private func claim() async throws(RedisError) {
    lookedAt = Monotonic.now()
    request += 1
    let organicMax = min(100, room)
    let syntheticMax = min(100, syntheticRoom)
    let kept = keptForSynthetics
    claiming = organicMax
    defer {
      claiming = 0
      roomed.fire()
    }
    let result = try await queue.claim(
      worker: worker, request: request, nonce: Nonce.make(), organicMax: organicMax,
      syntheticMax: syntheticMax, organicLeaseMilliseconds: leases.organic,
      syntheticLeaseMilliseconds: leases.synthetic, keptForSynthetics: min(kept, organicMax))
    nextDue = result.nextDueMilliseconds
    let organics = result.grants.count { $0.kind == .organic }
    mayHaveMore = result.grants.count >= organicMax || (organics > 0 && organics >= organicMax - kept)
    if let nextDue, nextDue <= result.nowMilliseconds, syntheticMax > 0 { mayHaveMore = true }
    begin(result)
  }

  private var areDue: Bool { nextDue.map { $0 <= clock.nowMilliseconds } ?? false }

  private var keptForSynthetics: Int { floor.kept(slots, areDue: areDue, at: Monotonic.now()) }

  private func begin(_ result: ClaimResult) {
    clock.observe(nowMilliseconds: result.nowMilliseconds)
    claimedCount += result.grants.count
    let organics = result.grants.count { $0.kind == .organic }
    floor.started(
      organics: organics, synthetics: result.grants.count - organics, at: Monotonic.now())
    for grant in result.grants {
      slots.take(isOrganic: grant.kind == .organic)
      start(grant)
    }
  }

  // MARK: the claim of OrganicListener

  /// Keeps a slot for one organic, as soon as there is one that synthetics do not wait for: of those the last free
  /// one is claimed for either kind, organics first.
  /// - Returns: false when `stopped` fires first.
  func keepSlot(until stopped: Signal) async -> Bool {
    while !stopped.isFired {
      let left = max(keptForSynthetics, areDue && slots.syntheticRoom > 0 ? 1 : 0)
      if slots.organicRoom - claiming > left {
        keepsSlot = true
        return true
      }
      roomed = Signal()
      // What is left to synthetics is claimed without this one.
      if claiming == 0 { poke() }
      await Pause.wait(milliseconds: Claimer.idleMilliseconds, orUntil: roomed)
    }
    return false
  }

  /// The slot is used for what its claim brought, or given back.
  func useSlot(_ result: ClaimResult?) {
    keepsSlot = false
    guard let result else { return poke() }
    if result.grants.isEmpty { lookedAt = Monotonic.now() }
    let hadRoom = slots.syntheticRoom > 0
    begin(result)
    if result.organicsWait { mayHaveMore = true }
    if let due = result.nextDueMilliseconds, due + Claimer.overdueMilliseconds <= result.nowMilliseconds {
      nextDue = nextDue ?? due
    }
    if let nextDue, hadRoom, slots.syntheticRoom == 0 { IO.task { @IO in await self.putBack(nextDue) } }
    if mayHaveMore || (areDue && slots.syntheticRoom > 0) { poke() }
  }

  /// A job ended.
  package func free(_ kind: JobKind) {
    let wasFull = syntheticRoom <= 0
    slots.free(isOrganic: kind == .organic)
    roomed.fire()
    if wasFull {
      mayHaveMore = true
      poke()
    }
  }

  /// The marker lanes that this worker can act on.
  package func lanes() -> [Keys.Fixed] { syntheticRoom > 0 ? [.wakeDue] : [] }

  /// A marker arrived.
  package func handle(_ event: MarkerListener.Event) {
    switch event {
    case .due(let at):
      if syntheticRoom <= 0 {
        // No room any more: somebody else may have some.
        IO.task { @IO in await self.putBack(at) }
      } else if at < nextDue ?? .max || at <= clock.nowMilliseconds {
        nextDue = at
        poke()
      }
    case .check, .cancelled: break
    }
  }

  /// Looks at once whether there is something to claim.
  package func poke() { poked.fire() }

  private func putBack(_ at: Int) async {
    _ = try? await queue.redis.send(
      "ZADD", queue.keys.fixed(.wakeDue), "LT", String(at), "due")
  }

  /// What this worker kept in mind goes to the others, when it stopped and no longer listens.
  package func putMarkersBack() async {
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
