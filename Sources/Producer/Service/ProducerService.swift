import Common

/// The producer: opens periods, plans and schedules their test queries, and closes them.
///
/// Any number may run; the one that holds the role writes, and each of its writes shows the role's token.
/// All state is in Redis: a producer that takes over continues every open period from what it finds there.
@IO
public final class ProducerService {
  /// What the operator decides.
  public struct Options: Sendable {
    /// Length of a period in seconds; nil for the configuration's.
    public var periodSeconds: Int?
    /// Stop after so many periods were closed; nil to go on.
    public var periodsMax: Int?
    /// What the door takes at most.
    public var door = DoorLimits.standard

    /// No limits of one's own.
    public init(periodSeconds: Int? = nil, periodsMax: Int? = nil, door: DoorLimits = .standard) {
      self.periodSeconds = periodSeconds
      self.periodsMax = periodsMax
      self.door = door
    }
  }

  /// Asks miners for their capacities.
  typealias Ask = @IO ([MinerRecord], [TaskConfig], ScoringProfile) async -> CapacityFetcher.Answers

  /// What one pass did.
  struct Pass: Equatable {
    /// Whether the role was held at its end.
    var isLeader = false
    /// Chunks that were scheduled.
    var chunks = 0
    /// The period that was opened.
    var opened: PeriodID?
    /// Periods that were closed.
    var closed: [PeriodID] = []
    /// Whether Redis was too full for new work.
    var isRefused = false
    /// When the next pass has something to do, at the latest, in milliseconds.
    var waitMilliseconds = 1_000
  }

  let queue: JobQueue
  let roster: RosterSource
  let config: ConfigSource
  let ask: Ask
  let options: Options
  let log: Log
  let role: LeaderRole
  /// What is known about open periods.
  var periods: [PeriodID: OpenPeriod] = [:]
  /// Periods that this process closed.
  private(set) var closedCount = 0
  /// After a failed attempt to open a period.
  var nextAttempt = Monotonic(nanoseconds: .min)
  private var areTasksPublished = false
  private var redisTrouble: (message: String, loggedAt: Monotonic)?

  /// A producer that has not begun.
  public convenience init(
    queue: JobQueue, roster: RosterSource, config: ConfigSource, http: HTTPClient, options: Options,
    log: Log = .shared
  ) {
    let fetcher = CapacityFetcher(http: http, log: log)
    self.init(queue: queue, roster: roster, config: config, options: options, log: log) {
      miners, tasks, profile in
      await fetcher.fetch(miners, tasks: tasks, profile: profile)
    }
  }

  init(
    queue: JobQueue, roster: RosterSource, config: ConfigSource, options: Options, log: Log = .shared,
    ask: @escaping Ask
  ) {
    self.queue = queue
    self.roster = roster
    self.config = config
    self.options = options
    self.log = log
    self.ask = ask
    role = LeaderRole(queue: queue)
  }

  // MARK: the loop

  /// Works until `stopping` fires, or until the wanted number of periods was closed; then gives the role
  /// back.
  public func run(until stopping: Signal) async {
    let work = IO.task { @IO in await self.loop() }
    let renewals = IO.task { @IO in await self.keepRole() }
    let watcher = IO.task { @IO in
      await stopping.wait()
      work.cancel()
    }
    await work.value
    renewals.cancel()
    watcher.cancel()
    await renewals.value
    // Whoever waits for the program's end does not wait for a Redis that is away: the role ends by itself.
    queue.patienceMilliseconds = 1_000
    do {
      try await role.giveBack()
    } catch {
      log.warning("the role was not given back", ["error": LoggedError(error)])
    }
  }

  private func loop() async {
    while !Task.isCancelled {
      var wait = 1_000
      do throws(RedisError) {
        let pass = try await runOnce()
        wait = pass.waitMilliseconds
        if !pass.isRefused { redisWorks() }
      } catch {
        redisFailed(error)
      }
      if let most = options.periodsMax, closedCount >= most { return }
      await EventLoop.shared.sleep(milliseconds: wait)
    }
  }

  /// Renews the role beside the passes, which may be busy for longer than it lives.
  private func keepRole() async {
    while !Task.isCancelled {
      await EventLoop.shared.sleep(milliseconds: LeaderRole.renewalMilliseconds)
      guard role.isHeld, !Task.isCancelled else { continue }
      // What fails here fails in the next pass too, which tells.
      _ = try? await role.renew()
      // Somebody may have flushed what was published at the start.
      if (try? await FunctionLibrary.isPublished(on: queue.redis)) == false {
        await GatewayDoor.open(queue.redis, log: log)
      }
    }
  }

  private func redisFailed(_ error: RedisError) {
    guard !Task.isCancelled else { return }
    let now = Monotonic.now()
    if let known = redisTrouble, known.message == error.description,
      now < known.loggedAt.advanced(milliseconds: 30_000)
    {
      return
    }
    redisTrouble = (error.description, now)
    log.error("Redis cannot be used", ["error": LoggedError(error)])
  }

  private func redisWorks() {
    guard redisTrouble != nil else { return }
    redisTrouble = nil
    log.info("Redis can be used again")
  }

  // MARK: one pass

  /// Does what is to be done now, and says when to come again.
  /// - Parameter chunksMax: chunks that are scheduled at most.
  func runOnce(chunksMax: Int = .max) async throws(RedisError) -> Pass {
    var pass = Pass()
    guard try await holdRole() else { return pass }
    await roster.refresh()
    try await unlessFull(&pass) { _ throws(RedisError) in try await self.publishTasks() }
    var latestEnd: Int?
    let open = try await queue.openPeriods()
    periods = periods.filter { open.contains($0.key) }
    for id in open where role.isHeld && !Task.isCancelled {
      let end = try await tend(id, &pass, chunksMax: chunksMax)
      if let end { latestEnd = max(latestEnd ?? 0, end) }
    }
    closedCount += pass.closed.count
    let isEnough = options.periodsMax.map { closedCount + open.count - pass.closed.count >= $0 } ?? false
    if !isEnough, role.isHeld, !Task.isCancelled {
      try await openNext(after: latestEnd, &pass)
      if let opened = pass.opened { _ = try await tend(opened, &pass, chunksMax: chunksMax) }
    }
    pass.isLeader = role.isHeld
    return pass
  }

  /// Takes new work in. A Redis that is full refuses that, and nothing else: what ends periods goes on.
  func unlessFull(
    _ pass: inout Pass, _ work: (inout Pass) async throws(RedisError) -> Void
  ) async throws(RedisError) {
    do throws(RedisError) {
      try await work(&pass)
    } catch {
      guard error.code == .outOfMemory else { throw error }
      pass.isRefused = true
      redisFailed(error)
    }
  }

  private func holdRole() async throws(RedisError) -> Bool {
    if role.isHeld { return true }
    guard try await role.renew() else { return false }
    log.info("leading")
    // Another producer may have worked meanwhile.
    periods = [:]
    areTasksPublished = false
    return true
  }

  /// Tells gateways which tasks there are, and where the door is: at the beginning, and again with each period.
  func publishTasks(again: Bool = false) async throws(RedisError) {
    guard again || !areTasksPublished else { return }
    try await TaskList.publish(config.current.tasks, on: queue)
    try await queue.publish(options.door)
    await GatewayDoor.open(queue.redis, log: log)
    areTasksPublished = true
  }
}
