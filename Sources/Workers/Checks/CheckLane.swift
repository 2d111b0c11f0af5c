import Common

/// Serves one checking server with answers, one at a time, while this worker is the one that may.
@IO
final class CheckLane {
  /// What a lane works with.
  struct Parts {
    let queue: JobQueue
    let client: HTTPClient
    let snapshots: SnapshotCache
    let keeper: LeaseKeeper
    let clock: RedisClock
    let worker: String
    let limits: CheckMachine.Limits
    let leaseMilliseconds: Int
    let timeoutMilliseconds: Int
  }

  /// The longest time without a look for answers, ms: no lost marker can stop the lane.
  static let idleMilliseconds = 5_000

  /// What a turn ended with.
  private enum Turn {
    /// A check ended: look for the next.
    case next
    /// Nothing waits, or the server is somebody else's.
    case idle
    /// The server, or Redis, is to be left alone, in milliseconds.
    case backOff(Int)
  }

  let server: CheckServer
  private let parts: Parts
  private let role: RoleKeeper
  private let name: String
  private var health: ServerHealth
  private var order = TaskOrder()
  private var random = SeededRandom(seed: .random(in: 0 ... .max))
  private var current: CheckRun?
  private var poked = Signal()
  /// Whether it waits for answers.
  private(set) var isIdle = false
  private var lastTurnAt = Monotonic.now()
  /// Whether it leaves a server alone for a while.
  private var isBackingOff = false
  private(set) var figures = CheckFigures()
  /// Called before each wait for answers.
  var onIdle: () async -> Void = {}

  init(server: CheckServer, parts: Parts) {
    self.server = server
    self.parts = parts
    health = ServerHealth(limits: parts.limits)
    name = server.base
    role = RoleKeeper(
      queue: parts.queue, role: server.role, token: parts.worker + ":" + Nonce.make(),
      lifeMilliseconds: parts.leaseMilliseconds)
  }

  /// Whether the server is this lane's to use.
  var isHolder: Bool { role.isHeld }

  /// How long ago it last looked for answers, ms; 0 while it has one checked or must leave its server alone.
  func claimAgeMilliseconds(at now: Monotonic) -> Int {
    current != nil || isBackingOff ? 0 : now.milliseconds(since: lastTurnAt)
  }

  /// Looks for answers now, if it waits.
  func poke() { poked.fire() }

  /// Ends the check that runs at once; it is handed back.
  func interrupt() { current?.interrupt() }

  /// Serves until `stopped` fires and the check that runs was settled or handed back.
  func run(until stopped: Signal) async {
    let ended = Signal()
    role.onChange = { [weak self] isHeld in
      guard let self else { return }
      Log.shared.info("checking server", ["server": name, "held": isHeld])
      if isHeld { poke() } else { current?.interrupt() }
    }
    let keeping = IO.task { @IO in await self.role.run(until: ended) }
    let watch = stopped.onFire {
      self.current?.stop()
      self.poke()
    }
    while !stopped.isFired {
      poked = Signal()
      lastTurnAt = Monotonic.now()
      switch await turn(until: stopped) {
      case .next: continue
      case .idle:
        isIdle = true
        await onIdle()
        if !stopped.isFired { await Pause.wait(milliseconds: CheckLane.idleMilliseconds, orUntil: poked) }
        isIdle = false
      case .backOff(let milliseconds):
        isBackingOff = true
        await Pause.wait(milliseconds: milliseconds, orUntil: stopped)
        isBackingOff = false
      }
    }
    stopped.forget(watch)
    ended.fire()
    await keeping.value
  }

  private func turn(until stopped: Signal) async -> Turn {
    guard role.isHeld else { return .idle }
    do throws(RedisError) {
      let tasks = order.order(try await candidates(), using: &random)
      guard !tasks.isEmpty, !stopped.isFired else { return .idle }
      let grant = try await parts.queue.claimCheck(
        worker: parts.worker, nonce: Nonce.make(), leaseMilliseconds: parts.leaseMilliseconds,
        server: server.digest, tasks: tasks)
      guard let grant else { return .idle }
      let pause = await serve(grant, until: stopped)
      return pause > 0 ? .backOff(pause) : .next
    } catch {
      Log.shared.warning("checks cannot be claimed", ["error": LoggedError(error)])
      return .backOff(200)
    }
  }

  /// All tasks of which answers may wait.
  private func candidates() async throws(RedisError) -> [TaskOrder.Candidate] {
    let reply = try await parts.queue.redis.send("HGETALL", parts.queue.keys.fixed(.checks))
    var waiting: [String: Int] = [:]
    for (field, value) in reply.fields ?? [:] where field.hasPrefix("waiting:") {
      waiting[String(field.dropFirst("waiting:".count))] = Int(value) ?? 0
    }
    let known = parts.snapshots.current?.snapshot.tasks ?? []
    for task in known where task.checking != nil { waiting[task.name, default: 0] += 0 }
    let models = Dictionary(known.map { ($0.name, CheckLane.model($0)) }, uniquingKeysWith: { $1 })
    return waiting.filter { $0.value > 0 || models[$0.key] != nil }.map {
      TaskOrder.Candidate(task: $0.key, model: models[$0.key] ?? "", waiting: $0.value)
    }
  }

  /// What a server loads to check a task.
  private static func model(_ task: TaskConfig) -> String {
    let needed = task.checking?["server_needed"]?.canonicalText() ?? ""
    return needed + (task.checking?["load_model_config"]?.canonicalText() ?? "")
  }

  // MARK: one check

  /// Runs a check and writes down what came of it. Returns for how long to leave the server alone, ms.
  private func serve(_ grant: CheckGrant, until stopped: Signal) async -> Int {
    let lost = Signal()
    let lease = parts.keeper.hold(
      id: grant.id, token: grant.token, leaseMilliseconds: parts.leaseMilliseconds
    ) { _ in lost.fire() }
    defer { parts.keeper.drop(lease) }
    let ending = await check(grant, until: stopped, lost: lost)
    guard !lost.isFired else { return 0 }
    guard let ending else {
      await release(grant, afterMilliseconds: 0)
      return 0
    }
    let hadFailed = health.failures > 0
    let pause = health.note(ending.server, hotkey: grant.entry.hotkey)
    if hadFailed, health.failures == 0 { Log.shared.info("checking server answers again", ["server": name]) }
    log(ending, grant, pause)
    switch ending.result {
    case .settle(let state): await settle(grant, state, until: lost)
    case .handBack(let milliseconds): await release(grant, afterMilliseconds: milliseconds)
    case .startOver(let milliseconds, let tries):
      let isOurs = await CheckRun.insist(until: lost) { () async throws(RedisError) -> Bool in
        try await parts.queue.noteCheck(id: grant.id, token: grant.token, remoteID: nil, tries: tries)
      }
      if isOurs == true { await release(grant, afterMilliseconds: milliseconds) }
    }
    return pause
  }

  /// nil when the check was stopped, or its lease lost, before it came to an end.
  private func check(
    _ grant: CheckGrant, until stopped: Signal, lost: Signal
  ) async -> CheckMachine.Ending? {
    let period = await parts.snapshots.period(grant.entry.period)
    guard let task = CheckLane.task(grant.task, in: period ?? parts.snapshots.current) else {
      return CheckLane.impossible(grant, parts.limits)
    }
    guard let checking = task.checking, let body = CheckBody(sample: grant.answer) else {
      return .init(result: .settle(.failed), server: .fine, reason: "the answer cannot be checked")
    }
    let miners = period?.snapshot.miners ?? []
    let nodeID = miners.indices.contains(grant.miner) ? miners[grant.miner].uid : grant.miner
    let json = body.json(
      server: checking.canonicalText(), entry: grant.entry, nodeID: nodeID,
      createdMilliseconds: parts.clock.nowMilliseconds)
    let run = CheckRun(
      parts: .init(
        queue: parts.queue, client: parts.client, limits: parts.limits,
        timeoutMilliseconds: parts.timeoutMilliseconds),
      server: server, grant: grant, body: json, nodeKey: String(nodeID))
    // The role, the lease or the process may have ended while the period was read.
    guard !stopped.isFired, !lost.isFired, role.isHeld else { return nil }
    current = run
    let watch = lost.onFire { run.interrupt() }
    order.posted(CheckLane.model(task))
    let ending = await run.run()
    lost.forget(watch)
    current = nil
    return ending
  }

  private static func task(_ name: String, in period: LoadedPeriod?) -> TaskConfig? {
    guard let period, let index = period.taskIndex(name) else { return nil }
    return period.snapshot.tasks[index]
  }

  /// An answer to a task that nobody knows: Redis may have failed just now, so it is tried again.
  private static func impossible(_ grant: CheckGrant, _ limits: CheckMachine.Limits) -> CheckMachine.Ending {
    let reason = "the answer's task is not known"
    guard grant.tries + 1 < limits.triesMax else {
      return .init(result: .settle(.failed), server: .fine, reason: reason)
    }
    let wait = ServerHealth.backoff(grant.tries + 1, limits.backoffMilliseconds)
    return .init(
      result: .startOver(afterMilliseconds: wait, tries: grant.tries + 1), server: .fine, reason: reason)
  }

  // MARK: writing down

  private func settle(_ grant: CheckGrant, _ state: CheckMachine.VerdictState, until lost: Signal) async {
    let entry: (state: VerdictEntry.State, score: Double?)
    switch state {
    case .judged(let score): entry = (.judged, score)
    case .unjudged: entry = (.unjudged, nil)
    case .failed: entry = (.failed, nil)
    }
    // The server tells a verdict only once: it is kept for as long as the check is ours.
    let isSettled = await CheckRun.insist(until: lost) { () async throws(RedisError) -> Bool in
      try await parts.queue.settleCheck(
        id: grant.id, token: grant.token, state: entry.state, score: entry.score)
    }
    if isSettled != nil { figures.ended(state) }
  }

  private func release(_ grant: CheckGrant, afterMilliseconds: Int) async {
    figures.handedBack += 1
    do throws(RedisError) {
      _ = try await parts.queue.release([
        (
          id: grant.id, token: grant.token,
          earliestMilliseconds: parts.clock.nowMilliseconds + afterMilliseconds
        )
      ])
    } catch {
      Log.shared.warning("check cannot be handed back", ["check": grant.id, "error": LoggedError(error)])
    }
  }

  private func log(_ ending: CheckMachine.Ending, _ grant: CheckGrant, _ pause: Int) {
    guard !ending.reason.isEmpty else { return }
    switch ending.server {
    case .failed:
      Log.shared.warning(
        "checking server fails",
        ["server": name, "problem": ending.reason, "failures": health.failures, "retry_ms": pause])
    case .troubled:
      Log.shared.warning(
        "check went wrong",
        [
          "check": grant.id, "task": grant.task, "hotkey": grant.entry.hotkey, "server": name,
          "problem": ending.reason, "given_up": ending.result == .settle(.failed), "retry_ms": pause,
        ])
    case .fine, .busy:
      Log.shared.info(
        "check without a score",
        ["check": grant.id, "task": grant.task, "server": name, "problem": ending.reason])
    }
  }
}
