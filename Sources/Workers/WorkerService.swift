import Common
import Foundation

/// A worker process: claims query jobs, runs them, keeps their leases, and takes back what others left.
@IO
public final class WorkerService {
  private let context: ServiceContext
  private let worker: String
  private let queue: JobQueue
  private let claimsRedis: RedisClient
  private let markersRedis: RedisClient
  private let organicsRedis: RedisClient
  private let client: HTTPClient
  /// Checking servers are the operator's own and may be anywhere.
  private let checksClient: HTTPClient
  private let handler: QueryHandler
  private let keeper: LeaseKeeper
  private let snapshots: SnapshotCache
  private let routing: MinerRouting
  private let room: CheckRoom
  private let clock = RedisClock()
  private let recoverer: Recoverer
  private let listener: MarkerListener
  private let claimer: Claimer
  private let organics: OrganicListener
  /// nil when this process checks nothing.
  private let checks: CheckService?
  /// Whether this process queries miners.
  private let queries: Bool
  private let finished = Signal()
  private let started = Monotonic.now()
  private var connectedAt = Monotonic.now()

  /// A worker with the given settings.
  /// - Throws: `SettingsError` or `RedisError` when a setting cannot be used.
  public init(_ context: ServiceContext) throws {
    self.context = context
    let settings = context.settings
    worker = WorkerService.makeID()
    let address = try settings.redisAddress()
    let keys = Keys(namespace: settings.string("namespace"))
    claimsRedis = RedisClient(address: address, options: .init(name: "vision-\(worker)"))
    markersRedis = RedisClient(
      address: address, options: MarkerListener.options(name: "vision-\(worker)-markers"))
    organicsRedis = RedisClient(
      address: address, options: MarkerListener.options(name: "vision-\(worker)-organics"))
    queue = JobQueue(redis: claimsRedis, keys: keys)
    // All that can throw comes before the client, which has to be closed.
    let corpus = try WorkerService.corpus(settings)
    let shapes = try WorkerService.shapes(settings)
    let servers = try CheckService.servers(settings)
    var toMiners = HTTPClient.Configuration()
    toMiners.networks = settings.networks("miner-networks")
    client = HTTPClient(toMiners)
    checksClient = HTTPClient(WorkerService.toCheckers)
    let leases = (organic: settings.int("organic-lease-ms"), synthetic: settings.int("synthetic-lease-ms"))
    let allLeases = [leases.organic, leases.synthetic, settings.int("check-lease-ms")]
    keeper = LeaseKeeper(
      queue: queue, worker: worker, clock: clock,
      intervalMilliseconds: (allLeases.min() ?? 0) / 3)
    snapshots = SnapshotCache(queue: queue)
    room = CheckRoom(queue: queue, bytesMax: settings.int("check-bytes-max"))
    // Whoever lives has reconnected and renewed by then.
    let renewal = RedisClient.reconnectMaxMilliseconds + 2 * keeper.intervalMilliseconds
    recoverer = Recoverer(queue: queue, graceMilliseconds: renewal)
    listener = MarkerListener(redis: markersRedis, keys: keys, worker: worker)
    var tuning = RouterTuning()
    tuning.hedgeShare = settings.double("hedge-share")
    routing = MinerRouting(queue: queue, worker: worker, snapshots: snapshots, tuning: tuning)
    var limits = AttemptRun.Limits()
    limits.responseBytesMax = settings.int("response-bytes-max")
    handler = QueryHandler(
      parts: .init(
        queue: queue, client: client, snapshots: snapshots, keeper: keeper, settler: Settler(queue: queue),
        writer: ReplyWriter(
          queue: queue, worker: worker, replyBytesMax: settings.int("reply-bytes-max")), room: room,
        routing: routing, clock: clock, corpus: corpus, shapes: shapes,
        headers: .init(bearer: settings.secret("miner-token")),
        limits: limits, leases: leases))
    let slots = Slots(total: settings.int("slots"), reservedShare: settings.double("reserved-share"))
    claimer = Claimer(
      queue: queue, worker: worker, clock: clock, slots: slots,
      floor: SyntheticFloor(share: settings.double("synthetic-share")), leases: leases)
    organics = OrganicListener(
      redis: organicsRedis, queue: queue, worker: worker, claimer: claimer, leases: leases)
    queries = settings.string("lanes") != "check"
    let parts = CheckLane.Parts(
      queue: queue, client: checksClient, snapshots: snapshots, keeper: keeper, clock: clock, worker: worker,
      limits: CheckService.limits(settings), leaseMilliseconds: settings.int("check-lease-ms"),
      timeoutMilliseconds: settings.int("check-timeout-ms"))
    checks = servers.isEmpty ? nil : CheckService(servers: servers, parts: parts)
    claimsRedis.onChange = { [weak self] isConnected in
      guard let self, isConnected else { return }
      connectedAt = Monotonic.now()
      recoverer.reconnected()
    }
    context.isHealthy = { [weak self] in
      self.map { $0.claimAgeMilliseconds <= WorkerService.claimAgeMaxMilliseconds } ?? true
    }
    claimer.start = { [handler] grant in handler.handle(grant) }
    handler.onEnd = { [weak self] grant in self?.ended(grant) }
    keeper.record = { [weak self] in self?.record() ?? [] }
    claimer.onIdle = { [weak self] _ in await self?.listen() }
    checks?.onIdle = { [weak self] in await self?.listen() }
  }

  /// Each check is asked for at a URL of its own.
  private static var toCheckers: HTTPClient.Configuration {
    var configuration = HTTPClient.Configuration()
    configuration.urlsMax = 64
    return configuration
  }

  private static func makeID() -> String {
    let host = ProcessInfo.processInfo.hostName.prefix { $0 != "." }.prefix(32)
    return "\(host)-\(ProcessInfo.processInfo.processIdentifier)-\(Nonce.make().prefix(6))"
  }

  private static func corpus(_ settings: Settings) throws -> Corpus {
    guard let path = settings.stringIfSet("corpus-file"), !path.isEmpty else { return .builtIn }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Corpus.Invalid(description: "the corpus file \(path) cannot be read")
    }
    return try Corpus(parsing: Array(data))
  }

  private static func shapes(_ settings: Settings) throws -> QueryShapes? {
    guard let path = settings.stringIfSet("query-shapes"), !path.isEmpty else { return nil }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw QueryShapes.Invalid(description: "the file of query shapes \(path) cannot be read")
    }
    do throws(QueryShapes.Invalid) {
      return try QueryShapes(parsing: data)
    } catch {
      throw QueryShapes.Invalid(description: "the file of query shapes \(path): \(error.description)")
    }
  }

  // MARK: run

  /// Works until the process is asked to stop and its jobs are finished or handed back.
  public func run() async -> ExitCode {
    context.log.info(
      "worker started", ["worker": worker, "slots": claimer.slots.total, "version": Version.current])
    await GatewayDoor.open(claimsRedis, log: context.log)
    let services: [Task<Void, Never>] = [
      IO.task { @IO in await self.keeper.run(until: self.finished) },
      IO.task { @IO in await self.recoverer.run(until: self.context.stopping) },
      IO.task { @IO in await self.refresh() },
      IO.task { @IO in if self.queries { await self.routing.run(until: self.finished) } },
      IO.task { @IO in
        await self.listener.run(until: self.context.stopping, lanes: self.markers, handle: self.handle)
      },
      IO.task { @IO in await self.checks?.run(until: self.context.stopping) },
    ]
    if queries { await claim() } else { await context.stopping.wait() }
    markersRedis.close()
    let checking = IO.task { @IO in
      await self.checks?.drain(graceMilliseconds: self.context.settings.int("grace-ms"))
    }
    await drain()
    await checking.value
    finished.fire()
    for service in services { await service.value }
    let keys = queue.keys
    _ = try? await claimsRedis.send("DEL", keys.worker(worker), keys.wakeWorker(worker), keys.fence(worker))
    claimsRedis.close()
    client.close()
    checksClient.close()
    context.log.info("worker stopped", ["worker": worker, "attempts": handler.figures.attempts])
    return .ok
  }

  /// Claims until the process is asked to stop; what others shall do is left to them then.
  private func claim() async {
    let listening = IO.task { @IO in await self.organics.run(until: self.context.stopping) }
    await claimer.run(until: context.stopping)
    await listening.value
    markersRedis.close()
    await claimer.putMarkersBack()
  }

  private func handle(_ event: MarkerListener.Event) {
    switch event {
    case .cancelled(let id): keeper.cancelled(id: id)
    case .check(let at): checks?.answerWaits(at: at)
    case .due: claimer.handle(event)
    }
  }

  /// The marker lanes that this worker can act on now.
  private func markers() -> [Keys.Fixed] {
    (queries ? claimer.lanes() : []) + (checks?.markers() ?? [])
  }

  private func listen() async { await listener.ensure(markers(), through: queue) }

  private var idle: Signal?

  private func ended(_ grant: Grant) {
    claimer.free(grant.kind)
    if claimer.slots.running == 0 { idle?.fire() }
  }

  /// Waits for the running jobs, at most for the grace time; then they are handed back.
  private func drain() async {
    guard claimer.slots.running > 0 else { return }
    let done = Signal()
    idle = done
    await Pause.wait(milliseconds: context.settings.int("grace-ms"), orUntil: done)
    guard claimer.slots.running > 0 else { return }
    context.log.info("handing jobs back", ["jobs": claimer.slots.running])
    handler.abort()
    await Pause.wait(milliseconds: 5_000, orUntil: done)
  }

  /// How often an idle worker looks for another period, ms. One that is over is noticed at once.
  private static let idleRefreshMilliseconds = 10_000

  /// Once a second: which period is current, and which answers would be taken for checking. Rarely when
  /// nothing runs.
  private func refresh() async {
    var lastAt: Monotonic?
    while !finished.isFired {
      let now = Monotonic.now()
      let isIdle = queries && claimer.slots.running == 0 && snapshots.current != nil
      if isIdle, let lastAt, now.milliseconds(since: lastAt) < WorkerService.idleRefreshMilliseconds {
        await Pause.wait(milliseconds: 1_000, orUntil: finished)
        continue
      }
      lastAt = now
      do throws(RedisError) {
        try await snapshots.refreshCurrent(nowMilliseconds: clock.nowMilliseconds)
        if !isIdle { try await room.refresh() }
      } catch {
        context.log.warning("refresh failed", ["error": LoggedError(error)])
      }
      await Pause.wait(milliseconds: 1_000, orUntil: finished)
    }
  }

  /// Longest time without a try to claim before a worker counts as hanging, ms.
  static let claimAgeMaxMilliseconds = 15_000

  /// How long ago this worker last tried to claim, ms. Connecting to Redis again and again is trying.
  private var claimAgeMilliseconds: Int {
    guard claimsRedis.isConnected else { return 0 }
    let now = Monotonic.now()
    let ages =
      (queries ? [now.milliseconds(since: claimer.lastClaimAt)] : [])
      + (checks.map { [$0.claimAgeMilliseconds(at: now)] } ?? [])
    return min(ages.max() ?? 0, now.milliseconds(since: connectedAt))
  }

  private func record() -> [String] {
    let figures = handler.figures
    let role = !queries ? "check" : checks == nil ? "query" : "both"
    return [
      "role", role, "version", Version.current, "pid", String(ProcessInfo.processInfo.processIdentifier),
      "slots", String(queries ? claimer.slots.total : 0),
      "organics", String(claimer.slots.organics), "synthetics", String(claimer.slots.synthetics),
      "attempts", String(figures.attempts), "tokens", String(figures.tokens),
      "miners_out", String(routing.outCount),
      "claim_age_ms", String(claimAgeMilliseconds),
      "up_ms", String(Monotonic.now().milliseconds(since: started)),
    ] + (checks?.record() ?? [])
  }
}
