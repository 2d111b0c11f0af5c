import Common

extension QueryHandler {
  /// How an organic job ended, for the reply's last entry.
  private struct Ending {
    var state: Settlement.State
    var name: String
    var status: Int
    var problem: String
  }

  /// Whether and how a user's request is served.
  private enum Admission {
    case serve(OrganicServing)
    case refuse(status: Int, problem: String)
    case later
  }

  /// Serves a user's request: from the best miner, and from another one when a miner fails before its first
  /// content. After it, the text is never begun again.
  func handleOrganic(_ job: QueryJob) async {
    switch await admit(job) {
    case .serve(let serving): await serve(job, serving)
    case .refuse(let status, let problem): await refuse(job, status: status, problem)
    case .later:
      // Handed back at once it would be claimed again at once, by whoever has no period either.
      await EventLoop.shared.sleep(milliseconds: QueryHandler.noPeriodMilliseconds)
      await release(job.grant)
    }
  }

  @inline(never)
  private func admit(_ job: QueryJob) async -> Admission {
    let now = parts.clock.nowMilliseconds
    guard let period = await parts.snapshots.currentPeriod(nowMilliseconds: now) else { return .later }
    guard let index = period.taskIndex(job.grant.task), period.tasks[index].config.weight > 0 else {
      return .refuse(status: 404, problem: "the task \(job.grant.task) is not served in this period")
    }
    do throws(OrganicRequest.Invalid) {
      let parameters = try OrganicRequest.parameters(
        period.tasks[index].config, payload: job.grant.payload, random: &random)
      return .serve(
        OrganicServing(
          period: period, taskIndex: index, parameters: parameters,
          reply: ReplyWriter.Reply(id: job.grant.id, token: job.grant.token)))
    } catch {
      return .refuse(status: 400, problem: error.description)
    }
  }

  /// Ends a job that no miner was asked for.
  @inline(never)
  private func refuse(_ job: QueryJob, status: Int, _ problem: String) async {
    let ending = Ending(state: .failed, name: "error", status: status, problem: problem)
    await settle(job, ending, attempts: [], sample: nil, result: nil, uid: nil)
  }

  private func serve(_ job: QueryJob, _ serving: OrganicServing) async {
    parts.routing.requested()
    while let race = ask(job, serving) {
      note(job, serving, await race.wait())
      guard let last = serving.last, last.mayBeTriedElsewhere else { break }
    }
    await finish(job, serving)
  }

  /// Asks a miner, and later a second one beside it should it be silent for long; nil when there is none to ask.
  @inline(never)
  private func ask(_ job: QueryJob, _ serving: OrganicServing) -> OrganicRace? {
    let target = nextTarget(
      job, serving, isAllowed: { $0.attempts.isEmpty || parts.routing.mayRetry() })
    guard let target else { return nil }
    let race = OrganicRace(reply: serving.reply)
    race.hedge = parts.routing.hedgeMilliseconds(target.task.config).map { milliseconds in
      EventLoop.shared.after(milliseconds: milliseconds) {
        guard race.isOpen,
          let other = self.nextTarget(job, serving, isAllowed: { _ in self.parts.routing.mayHedge() })
        else { return }
        self.ask(job, serving, other, race)
      }
    }
    ask(job, serving, target, race)
    return race
  }

  private func ask(_ job: QueryJob, _ serving: OrganicServing, _ target: Target, _ race: OrganicRace) {
    race.begin()
    attempt(
      prepare(job, target, serving.parameters, race: race), totalMilliseconds: millisecondsLeft(job)
    ) { race.end($0) }
  }

  /// The miner to ask next; nil when there is none, or no time, or no leave.
  private func nextTarget(
    _ job: QueryJob, _ serving: OrganicServing, isAllowed: (OrganicServing) -> Bool
  ) -> Target? {
    guard serving.tried.count < QueryHandler.attemptsMax, millisecondsLeft(job) > 0 else { return nil }
    let choice = parts.routing.choose(serving.period, taskIndex: serving.taskIndex, tried: serving.tried)
    guard let choice, isAllowed(serving) else { return nil }
    serving.tried.insert(choice.hotkey)
    return Target(period: serving.period, taskIndex: serving.taskIndex, miner: choice.miner)
  }

  /// Notes what attempts came to.
  @inline(never)
  private func note(_ job: QueryJob, _ serving: OrganicServing, _ ends: [AttemptEnd]) {
    for end in AttemptEnd.inOrder(ends) {
      note(end.result)
      serving.last = end.result
      serving.uid = end.target.record.uid
      serving.attempts.append(end.target.entry(job.grant, end.result, settles: false))
      if let answer = end.result.answer {
        serving.sample = parts.room.sample(end.target.task.config, request: end.body, answer: answer)
      }
    }
  }

  private func millisecondsLeft(_ job: QueryJob) -> Int {
    guard let deadline = job.grant.deadlineMilliseconds else { return .max }
    return deadline - parts.clock.nowMilliseconds
  }

  @inline(never)
  private func finish(_ job: QueryJob, _ serving: OrganicServing) async {
    let (reply, last) = (serving.reply, serving.last)
    guard let ending = ending(job, last, reply: reply) else { return await release(job.grant) }
    if ending.name == "error" || ending.name == "expired", let last, last.wasShown {
      let event = QueryHandler.errorEvent(ending.problem, ending.status)
      parts.writer.write(event, to: reply, tokens: last.contentChunks)
    }
    await parts.writer.end(reply)
    await settle(
      job, ending, attempts: serving.attempts, sample: ending.name == "done" ? serving.sample : nil,
      result: last, uid: serving.uid, bytes: reply.writtenBytes)
  }

  /// How the job ended; nil when it should run again elsewhere.
  private func ending(_ job: QueryJob, _ last: AttemptResult?, reply: ReplyWriter.Reply) -> Ending? {
    if last?.isPastDeadline ?? (millisecondsLeft(job) <= 0) {
      return Ending(state: .failed, name: "expired", status: 504, problem: "the deadline passed")
    }
    guard let last else {
      return Ending(state: .failed, name: "error", status: 503, problem: "no miner can serve this task now")
    }
    if reply.refusal == .tooLarge {
      return Ending(state: .done, name: "too_large", status: 200, problem: "the reply reached its size cap")
    }
    switch last.outcome {
    case .ok: return Ending(state: .done, name: "done", status: 200, problem: "")
    case .rateLimited:
      return Ending(state: .failed, name: "error", status: 429, problem: "all miners asked were busy")
    case .cancelled: return Ending(state: .failed, name: "cancelled", status: 499, problem: "")
    case .interrupted:
      guard last.wasShown else { return nil }
      return Ending(
        state: .interrupted, name: "interrupted", status: 500, problem: "the worker stopped in mid-answer")
    default:
      return Ending(state: .failed, name: "error", status: 502, problem: last.problem)
    }
  }

  private static func errorEvent(_ problem: String, _ status: Int) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("error")
    json.beginObject()
    json.member("message", problem)
    json.member("code", status)
    json.endObject()
    json.endObject()
    return Array("data: ".utf8) + json.bytes + Array("\n\n".utf8)
  }

  @inline(never)
  private func settle(
    _ job: QueryJob, _ ending: Ending, attempts: [SettledAttempt], sample: Sample?, result: AttemptResult?,
    uid: Int?, bytes: Int = 0
  ) async {
    var last = [("end", ending.name), ("status", String(ending.status)), ("bytes", String(bytes))]
    if !ending.problem.isEmpty { last.append(("error", ending.problem)) }
    if let uid { last.append(("uid", String(uid))) }
    if let result {
      // As measured: what the miner says of it does not count.
      last.append(("prompt_tokens", String(result.promptTokens)))
      last.append(("completion_tokens", String(result.contentChunks)))
      last.append(("first_ms", result.firstContentMilliseconds.map(String.init) ?? ""))
      last.append(("total_ms", String(result.totalMilliseconds)))
    }
    _ = await parts.settler.settle(
      Settlement(
        id: job.grant.id, token: job.grant.token, state: ending.state, attempts: attempts, sample: sample,
        last: last))
  }
}
