import Common

/// Runs query jobs: builds the request, asks a miner, and settles the job with what came of it.
///
/// There are thousands at a time, so no task waits for any of them: a job goes on where its answer ends
/// (``handleSynthetic(_:)``, ``handleOrganic(_:)``).
@IO
final class QueryHandler {
  /// What a handler works with.
  struct Parts {
    let queue: JobQueue
    let client: HTTPClient
    let snapshots: SnapshotCache
    let keeper: LeaseKeeper
    let settler: Settler
    let writer: ReplyWriter
    let room: CheckRoom
    let routing: MinerRouting
    let clock: RedisClock
    let corpus: Corpus
    let shapes: QueryShapes?
    let headers: RequestBuilder.Headers
    let limits: AttemptRun.Limits
    let leases: (organic: Int, synthetic: Int)
  }

  /// Miners that are asked at most for one organic.
  static let attemptsMax = 3
  /// How long a job waits that cannot be run just now, ms.
  static let postponeMilliseconds = 1_000
  /// How long a user's request is held while no period is known, ms.
  static let noPeriodMilliseconds = 100

  let parts: Parts
  var random = SeededRandom(seed: .random(in: 0 ... .max))
  private var jobs = PlaceList<QueryJob>()
  /// Set when the worker stops and its time to finish is over.
  private(set) var isAborting = false
  private(set) var figures = WorkerFigures()
  /// Called when a job is settled, handed back or lost.
  var onEnd: (Grant) -> Void = { _ in }

  init(parts: Parts) { self.parts = parts }

  /// Runs a job to its end.
  func handle(_ grant: Grant) {
    let job = QueryJob(grant)
    jobs.add(job)
    let isOrganic = grant.kind == .organic
    job.hold(
      in: parts.keeper, leaseMilliseconds: isOrganic ? parts.leases.organic : parts.leases.synthetic)
    if isOrganic { handleOrganic(job) } else { handleSynthetic(job) }
  }

  /// A job is settled, handed back or lost.
  func end(_ job: QueryJob) {
    // A slot must not be freed twice.
    guard jobs.remove(job) else { return assertionFailure("job \(job.grant.id) ended twice") }
    job.end(in: parts.keeper)
    onEnd(job.grant)
  }

  /// Ends all attempts, so that jobs are handed back.
  func abort() {
    isAborting = true
    for job in jobs.elements { job.stop(as: .interrupted) }
  }

  /// Hands a job back, to run again a little later.
  func handBack(_ job: QueryJob) {
    IO.task { @IO in
      await self.release(job.grant)
      self.end(job)
    }
  }

  private func release(_ grant: Grant) async {
    let earliest = parts.clock.nowMilliseconds + (isAborting ? 0 : QueryHandler.postponeMilliseconds)
    do throws(RedisError) {
      _ = try await parts.queue.release([
        (id: grant.id, token: grant.token, earliestMilliseconds: earliest)
      ])
    } catch {
      Log.shared.warning("job cannot be handed back", ["job": grant.id, "error": LoggedError(error)])
    }
  }

  // MARK: one attempt

  /// The miner and the task that an attempt is for. It refers to the period's tables instead of copying from
  /// them: thousands of waiting attempts hold one each.
  struct Target {
    let period: LoadedPeriod
    let taskIndex: Int
    let miner: Int

    @IO var task: LoadedTask { period.tasks[taskIndex] }
    @IO var record: MinerRecord { period.snapshot.miners[miner] }

    /// The ledger entry of an attempt.
    @IO func entry(_ grant: Grant, _ result: AttemptResult, settles: Bool) -> SettledAttempt {
      let isGood = result.outcome == .ok
      return SettledAttempt(
        entry: AttemptEntry(
          job: grant.id, kind: grant.kind, period: period.snapshot.id, task: task.config.name,
          hotkey: record.hotkey, outcome: result.outcome, status: result.status,
          workMilli: isGood ? Work.milli(of: task.config.kind, units: result.units) : 0,
          units: isGood ? result.units : 0, firstContentMilliseconds: result.firstContentMilliseconds,
          totalMilliseconds: result.totalMilliseconds, settles: settles),
        miner: miner)
    }
  }

  /// An attempt and all that it needs, ready to go.
  struct Prepared {
    let target: Target
    /// nil when nobody is to be asked any more.
    let run: AttemptRun?
    let request: HTTPRequest
  }

  /// Makes an attempt ready.
  func prepare(
    _ job: QueryJob, _ target: Target, _ parameters: QueryParameters, race: OrganicRace?
  ) -> Prepared {
    let body = RequestBuilder.body(target.task.config, parameters)
    let request = RequestBuilder.request(
      target.task.config, address: target.record.address, body: body, headers: parts.headers)
    return Prepared(target: target, run: begin(job, target, parameters, race), request: request)
  }

  /// Asks one miner. `ended` is called once with what came of it, also at once when nobody is to be asked.
  func attempt(
    _ prepared: Prepared, totalMilliseconds: Int, ended: @escaping (AttemptEnd) -> Void
  ) {
    let target = prepared.target
    guard let run = prepared.run else {
      return ended(AttemptEnd(target: target, result: AttemptResult(outcome: .interrupted), body: []))
    }
    // A request may be long: only one whose answer may be checked is remembered.
    let body = run.keepsAnswer ? prepared.request.body : []
    run.start(prepared.request, client: parts.client, totalMilliseconds: totalMilliseconds) {
      self.parts.routing.ended(run)
      ended(AttemptEnd(target: target, result: run.result, body: body))
    }
  }

  /// An attempt that can be cancelled from now on; nil while the worker stops, and when the lease was lost before
  /// anybody was asked.
  private func begin(
    _ job: QueryJob, _ target: Target, _ parameters: QueryParameters, _ race: OrganicRace?
  ) -> AttemptRun? {
    guard !isAborting, job.isOurs else { return nil }
    let form = race.map { _ in
      ReplyForm(job.grant, target.task, parameters, nowMilliseconds: parts.clock.nowMilliseconds)
    }
    let run = AttemptRun(
      task: target.task, hotkey: target.record.hotkey, parameters: parameters, limits: parts.limits,
      keepsAnswer: parts.room.hasRoom(target.task.config), form: form, sink: race?.reply)
    job.add(run)
    race?.reply.onRefusal = { job.lost($0) }
    race?.enter(run)
    run.onFirstContent = { [routing = parts.routing] run in
      routing.answered(run)
      return race?.claim(run) ?? true
    }
    parts.routing.began(run)
    return run
  }

  /// Notes an attempt's end for the figures.
  func note(_ result: AttemptResult) { figures.ended(result) }
}
