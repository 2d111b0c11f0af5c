import Common

/// Runs query jobs: builds the request, asks a miner, and settles the job with what came of it.
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
    let bearer: Redacted?
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
  /// Attempts under way, by the token of their job.
  private var running: [String: [AttemptRun]] = [:]
  /// Set when the worker stops and its time to finish is over.
  private var isAborting = false
  private(set) var figures = WorkerFigures()

  init(parts: Parts) { self.parts = parts }

  /// Runs a job to its end. Returns when it is settled, handed back or lost.
  func handle(_ grant: Grant) async {
    let isOrganic = grant.kind == .organic
    let lease = isOrganic ? parts.leases.organic : parts.leases.synthetic
    parts.keeper.hold(id: grant.id, token: grant.token, leaseMilliseconds: lease) { result in
      self.leaseEnded(grant, result)
    }
    if isOrganic { await handleOrganic(grant) } else { await handleSynthetic(grant) }
    running[grant.token] = nil
    parts.keeper.drop(id: grant.id, token: grant.token)
  }

  private func leaseEnded(_ grant: Grant, _ result: LeaseResult) {
    stop(grant.token, as: result == .cancelled ? .cancelled : .interrupted)
  }

  private func stop(_ token: String, as outcome: Outcome) {
    for run in running[token] ?? [] { run.cancel(as: outcome) }
  }

  /// Ends all attempts, so that jobs are handed back.
  func abort() {
    isAborting = true
    for token in running.keys { stop(token, as: .interrupted) }
  }

  // MARK: synthetics

  private func handleSynthetic(_ grant: Grant) async {
    guard let job = SyntheticJob(id: grant.id), let period = await parts.snapshots.period(job.period),
      let index = period.taskIndex(job.task), period.snapshot.miners.indices.contains(job.miner)
    else {
      Log.shared.error("planned query cannot be read", ["job": grant.id])
      return await release(grant)
    }
    let target = Target(period: period, taskIndex: index, miner: job.miner)
    let query = SyntheticQuery(corpus: parts.corpus, shapes: parts.shapes)
    let parameters = query.parameters(target.task, id: grant.id, seed: period.seed)
    let end = await attempt(prepare(grant, target, parameters, race: nil), totalMilliseconds: .max)
    guard end.result.outcome.counter != .none else { return await release(grant) }
    figures.ended(end.result, task: job.task)
    _ = await parts.settler.settle(settlement(grant, end))
  }

  @inline(never)
  private func settlement(_ grant: Grant, _ end: AttemptEnd) -> Settlement {
    var settlement = Settlement(
      id: grant.id, token: grant.token, state: end.result.outcome == .ok ? .done : .failed,
      attempts: [end.target.entry(grant, end.result, settles: true)])
    if let answer = end.result.answer {
      settlement.sample = parts.room.sample(end.target.task, request: end.body, answer: answer)
    }
    return settlement
  }

  /// Hands a job back, to run again a little later.
  @inline(never)
  func release(_ grant: Grant) async {
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

    @IO var task: TaskConfig { period.snapshot.tasks[taskIndex] }
    @IO var record: MinerRecord { period.snapshot.miners[miner] }

    /// The ledger entry of an attempt.
    @IO func entry(_ grant: Grant, _ result: AttemptResult, settles: Bool) -> SettledAttempt {
      let isGood = result.outcome == .ok
      return SettledAttempt(
        entry: AttemptEntry(
          job: grant.id, kind: grant.kind, period: period.snapshot.id, task: task.name,
          hotkey: record.hotkey, outcome: result.outcome, status: result.status,
          workMilli: isGood ? Work.milli(of: task.kind, units: result.units) : 0,
          units: isGood ? result.units : 0, firstContentMilliseconds: result.firstContentMilliseconds,
          totalMilliseconds: result.totalMilliseconds, settles: settles),
        miner: miner)
    }
  }

  /// An attempt and all that it needs, ready to go.
  @IO
  final class Prepared {
    let target: Target
    /// nil when nobody is to be asked any more.
    let run: AttemptRun?
    let request: HTTPRequest

    init(target: Target, run: AttemptRun?, request: HTTPRequest) {
      self.target = target
      self.run = run
      self.request = request
    }
  }

  /// Makes an attempt ready. Not part of the function that waits for its end: what that one knows is kept for
  /// each of thousands of open answers.
  @inline(never)
  func prepare(
    _ grant: Grant, _ target: Target, _ parameters: QueryParameters, race: OrganicRace?
  ) -> Prepared {
    let body = RequestBuilder.body(target.task, parameters)
    let request = RequestBuilder.request(
      target.task, address: target.record.address, body: body, bearer: parts.bearer)
    return Prepared(target: target, run: begin(grant, target, parameters, race), request: request)
  }

  /// Asks one miner. Returns what came of it.
  func attempt(_ prepared: Prepared, totalMilliseconds: Int) async -> AttemptEnd {
    if let run = prepared.run {
      await run.run(prepared.request, client: parts.client, totalMilliseconds: totalMilliseconds)
      parts.routing.ended(run, run.result)
    }
    return AttemptEnd(prepared)
  }

  /// An attempt that can be cancelled from now on; nil while the worker stops, and when the lease was lost before
  /// anybody was asked.
  private func begin(
    _ grant: Grant, _ target: Target, _ parameters: QueryParameters, _ race: OrganicRace?
  ) -> AttemptRun? {
    guard !isAborting, parts.keeper.holds(id: grant.id, token: grant.token) else { return nil }
    let relay: (([UInt8], Int) -> Void)? = race.map { race in
      // Not the race: it holds its attempts, and none of them would ever be freed.
      { [writer = parts.writer, reply = race.reply] piece, tokens in
        writer.write(piece, to: reply, tokens: tokens)
      }
    }
    let form = race.map { _ in
      ReplyForm(grant, target.task, parameters, nowMilliseconds: parts.clock.nowMilliseconds)
    }
    let run = AttemptRun(
      task: target.task, parameters: parameters, limits: parts.limits,
      keepsAnswer: parts.room.hasRoom(target.task), form: form, relay: relay)
    running[grant.token, default: []].append(run)
    race?.reply.onRefusal = { result in
      self.stop(grant.token, as: result == .cancelled ? .cancelled : .interrupted)
    }
    race?.enter(run)
    run.onFirstContent = { [routing = parts.routing] run in
      routing.answered(run)
      return race?.claim(run) ?? true
    }
    parts.routing.began(run, task: target.task.name, hotkey: target.record.hotkey)
    return run
  }

  /// Notes an organic's end for the figures.
  func note(_ result: AttemptResult, task: String) { figures.ended(result, task: task) }
}
