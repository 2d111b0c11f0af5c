import Common
import Workers

/// A worker whose jobs end as soon as they begin: with the claims, markers, leases and settlements of
/// `vision-workers`, and nothing else. What it costs is the queue.
@IO
final class BareWorker {
  private let queue: JobQueue
  private let claimsRedis: RedisClient
  private let markersRedis: RedisClient
  private let organicsRedis: RedisClient
  private let clock = RedisClock()
  private let claimer: Claimer
  private let keeper: LeaseKeeper
  private let listener: MarkerListener
  private let organics: OrganicListener
  private let settler: Settler
  private let stopped = Signal()
  private var loops: [Task<Void, Never>] = []
  /// How a reply ends that a miner gave, field by field as in `vision-workers`.
  static let lastEntry = [
    ("end", "done"), ("status", "200"), ("bytes", "0"), ("uid", "0"), ("prompt_tokens", "7"),
    ("completion_tokens", "20"), ("first_ms", "5"), ("total_ms", "20"),
  ]
  /// Jobs that began and those that were settled.
  private(set) var begun = 0
  private(set) var settled = 0
  private(set) var lost = 0
  /// Called when a job begins.
  var onStart: (Grant) -> Void = { _ in }

  /// A worker of the queue with these keys.
  init(_ lab: Lab, keys: Keys, slots: Int) {
    claimsRedis = lab.anotherClient()
    markersRedis = lab.anotherClient()
    organicsRedis = lab.anotherClient(MarkerListener.options(name: "bench-organics"))
    queue = JobQueue(redis: claimsRedis, keys: keys)
    let name = "bare-\(UInt32.random(in: 0 ... .max))"
    let leases = (organic: 6_000, synthetic: 15_000)
    keeper = LeaseKeeper(queue: queue, worker: name, clock: clock, intervalMilliseconds: 2_000)
    listener = MarkerListener(redis: markersRedis, keys: keys, worker: name)
    settler = Settler(queue: queue)
    claimer = Claimer(
      queue: queue, worker: name, clock: clock, slots: Slots(total: slots, reservedShare: 0.2),
      floor: SyntheticFloor(share: 0.1), leases: leases)
    organics = OrganicListener(
      redis: organicsRedis, queue: queue, worker: name, claimer: claimer, leases: leases)
    claimer.start = { [weak self] grant in self?.start(grant) }
    claimer.onIdle = { [weak self] lanes in await self?.listen(lanes) }
  }

  /// Begins to work.
  func start() {
    loops = [
      IO.task { @IO in await self.keeper.run(until: self.stopped) },
      IO.task { @IO in
        await self.listener.run(until: self.stopped, lanes: self.claimer.lanes, handle: self.claimer.handle)
      },
      IO.task { @IO in await self.claimer.run(until: self.stopped) },
      IO.task { @IO in await self.organics.run(until: self.stopped) },
    ]
  }

  /// Ends all of it.
  func stop() async {
    stopped.fire()
    markersRedis.close()
    for loop in loops { await loop.value }
    claimsRedis.close()
  }

  private func listen(_ lanes: [Keys.Fixed]) async { await listener.ensure(lanes, through: queue) }

  private func start(_ grant: Grant) {
    begun += 1
    onStart(grant)
    let lease = keeper.hold(id: grant.id, token: grant.token, leaseMilliseconds: 6_000) { _ in }
    let end = Settlement(
      id: grant.id, token: grant.token, state: .done, attempts: [],
      last: grant.kind == .organic ? BareWorker.lastEntry : [])
    settler.settle(end) { result in
      if result == .ok { self.settled += 1 } else { self.lost += 1 }
      self.keeper.drop(lease)
      self.claimer.free(grant.kind)
    }
  }
}
