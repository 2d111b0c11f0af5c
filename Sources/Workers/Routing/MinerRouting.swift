import Common

/// The router at work: what this worker's attempts show goes in, and once a second the workers tell each
/// other what they know.
@IO
final class MinerRouting {
  /// Between two exchanges, ms.
  static let intervalMilliseconds = 1_000
  /// After so long without an attempt this worker has nothing to tell, ms, and asks rarely.
  static let idleMilliseconds = 60_000
  /// Between two exchanges of an idle worker, ms.
  static let idleIntervalMilliseconds = 30_000
  /// How long a report is read, ms: three lost exchanges are no news.
  static let lifeMilliseconds = 4_000
  /// Between two looks at the volumes of the period that were used, ms.
  static let volumesMilliseconds = 5_000
  /// An answer flows for so long before its pace says anything, ms.
  static let flowMilliseconds = 1_000

  private let queue: JobQueue
  private let worker: String
  private let snapshots: SnapshotCache
  private(set) var router: Router
  private var random = SeededRandom(seed: .random(in: 0 ... .max))
  private var underWay = PlaceList<AttemptRun>()
  private var verdictsKnown: [String: String] = [:]
  private var volumes: (used: [String: [Int: Int]], gone: Set<Int>) = ([:], [])
  private var volumesPeriod: PeriodID?
  private var volumesAt: Monotonic?
  private var lastAttemptAt: Monotonic?
  private var lastExchangeAt: Monotonic?

  init(queue: JobQueue, worker: String, snapshots: SnapshotCache, tuning: RouterTuning = RouterTuning()) {
    self.queue = queue
    self.worker = worker
    self.snapshots = snapshots
    router = Router(tuning)
  }

  // MARK: decisions

  /// The miner to ask next for a user's request; nil when none is left.
  func choose(_ period: LoadedPeriod, taskIndex: Int, tried: [String]) -> Router.Candidate? {
    router.choose(
      task: period.snapshot.tasks[taskIndex].name, candidates: candidates(period, taskIndex), tried: tried,
      now: Monotonic.now(), random: &random)
  }

  /// The miners that claim capacity for a task, with what is left of it.
  private func candidates(_ period: LoadedPeriod, _ task: Int) -> [Router.Candidate] {
    let snapshot = period.snapshot
    let isKnown = volumesPeriod == snapshot.id
    let used = isKnown ? volumes.used[snapshot.tasks[task].name] ?? [:] : [:]
    let gone = isKnown ? volumes.gone : []
    return snapshot.miners.indices.compactMap { miner in
      let capacity = snapshot.capacities[task][miner]
      guard capacity > 0, !gone.contains(miner) else { return nil }
      return Router.Candidate(
        miner: miner, hotkey: snapshot.miners[miner].hotkey,
        capacity: capacity - Double(used[miner] ?? 0) / 1000)
    }
  }

  /// A user's request is served for the first time.
  func requested() { router.requested() }

  /// Takes leave to ask another miner after a failure.
  func mayRetry() -> Bool { router.mayRetry(at: Monotonic.now()) }

  /// Takes leave to ask a second miner beside a silent one.
  func mayHedge() -> Bool { router.mayHedge(at: Monotonic.now()) }

  /// How long a miner may be silent before a second one is asked, ms; nil when none is. An answer that does
  /// not stream takes as long as it takes.
  func hedgeMilliseconds(_ task: TaskConfig) -> Int? {
    task.streams ? router.hedgeMilliseconds(task: task.name) : nil
  }

  /// Miners that get no requests of users now, over all tasks of the period.
  var outCount: Int {
    let now = Monotonic.now()
    let tasks = snapshots.current?.snapshot.tasks ?? []
    return tasks.reduce(0) { $0 + router.outCount(task: $1.name, now: now) }
  }

  // MARK: evidence

  /// An attempt begins.
  func began(_ run: AttemptRun) {
    lastAttemptAt = Monotonic.now()
    underWay.add(run)
    router.began(task: run.task.name, hotkey: run.hotkey)
  }

  /// An attempt's first content came.
  func answered(_ run: AttemptRun) {
    guard let first = run.firstContentMilliseconds else { return }
    router.answered(
      task: run.task.name, hotkey: run.hotkey, firstContentMilliseconds: first, now: Monotonic.now())
  }

  /// An attempt ended.
  func ended(_ run: AttemptRun) {
    guard underWay.remove(run) else { return }
    let now = Monotonic.now()
    let end = Router.End(
      outcome: run.result.outcome, firstContentMilliseconds: run.result.firstContentMilliseconds,
      paceMilliseconds: run.paceMilliseconds(at: now), retryAfterSeconds: run.result.retryAfterSeconds)
    router.ended(task: run.task.name, hotkey: run.hotkey, end, now: now)
  }

  /// What attempts under way show: a miner that is silent, or slow, is known before its timeout.
  private func observe(at now: Monotonic) {
    for run in underWay.elements {
      let (task, hotkey) = (run.task.name, run.hotkey)
      if let flowing = run.flowingMilliseconds(at: now) {
        guard flowing >= MinerRouting.flowMilliseconds, let pace = run.paceMilliseconds(at: now) else {
          continue
        }
        router.flows(task: task, hotkey: hotkey, paceMilliseconds: pace, now: now)
      } else {
        let waiting = run.waitingMilliseconds(at: now)
        router.waits(task: task, hotkey: hotkey, milliseconds: waiting, now: now)
      }
    }
  }

  // MARK: exchange

  /// Exchanges until `stopped` fires; then takes this worker's reports back.
  func run(until stopped: Signal) async {
    while !stopped.isFired {
      if isDue(at: Monotonic.now()) { await exchange() }
      await Pause.wait(milliseconds: MinerRouting.intervalMilliseconds, orUntil: stopped)
    }
    await exchange(leaving: true)
  }

  /// Whether something may have changed since the last exchange.
  private func isDue(at now: Monotonic) -> Bool {
    guard let lastExchangeAt, underWay.elements.isEmpty else { return true }
    let isIdle =
      lastAttemptAt.map { now.milliseconds(since: $0) >= MinerRouting.idleMilliseconds } ?? true
    return !isIdle || now.milliseconds(since: lastExchangeAt) >= MinerRouting.idleIntervalMilliseconds
  }

  /// One exchange. Without Redis each worker goes by what it knows itself.
  func exchange(leaving: Bool = false) async {
    guard let period = snapshots.current else { return }
    let now = Monotonic.now()
    lastExchangeAt = now
    observe(at: now)
    let tasks = period.snapshot.tasks.prefix(100).map(\.name)
    var notices: [RouteNotice] = []
    for task in tasks {
      let report = leaving ? [] : MinerReportText.encode(router.report(task: task, now: now))
      notices.append(RouteNotice(task: task, report: report, verdictsKnown: verdictsKnown[task] ?? ""))
      await letOthersRun()
    }
    do throws(RedisError) {
      let news = try await queue.exchangeRoutes(
        worker: worker, lifeMilliseconds: MinerRouting.lifeMilliseconds, notices)
      for (task, news) in zip(tasks, news) {
        adopt(task, news)
        await letOthersRun()
      }
      if !leaving { try await readVolumes(period.snapshot.id, at: now) }
    } catch {
      Log.shared.warning("routes cannot be exchanged", ["error": LoggedError(error)])
    }
  }

  /// Between two tasks: with many miners and workers each takes some tenths of a millisecond, and tokens wait.
  private func letOthersRun() async { await EventLoop.shared.sleep(milliseconds: 0) }

  private func adopt(_ task: String, _ news: RouteNews) {
    router.adopt(
      task: task,
      reports: news.reports.map { ($0.ageMilliseconds, MinerReportText.decode($0.bytes)) },
      now: Monotonic.now())
    for mean in news.means {
      router.judged(task: task, hotkey: mean.hotkey, mean: mean.mean, verdicts: mean.verdicts)
    }
    verdictsKnown[task] = news.verdictsKnown
  }

  private func readVolumes(_ period: PeriodID, at now: Monotonic) async throws(RedisError) {
    let isDue =
      volumesPeriod != period
      || volumesAt.map { now.milliseconds(since: $0) >= MinerRouting.volumesMilliseconds } ?? true
    guard isDue else { return }
    volumes = try await queue.usedVolumes(period)
    (volumesPeriod, volumesAt) = (period, now)
  }
}
