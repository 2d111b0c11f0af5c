import Common

extension QueryHandler {
  /// How an organic job ended, for the reply's last entry.
  private struct Ending {
    var state: Settlement.State
    var name: String
    var status: Int
    var problem: String
  }

  /// Serves a user's request: from the best miner, and from another one when a miner fails before its first
  /// content. After it, the text is never begun again.
  func handleOrganic(_ job: QueryJob) {
    let now = parts.clock.nowMilliseconds
    if let period = parts.snapshots.knownCurrent(nowMilliseconds: now) { return admit(job, period) }
    IO.task { @IO in
      guard let period = await self.parts.snapshots.currentPeriod(nowMilliseconds: now) else {
        // Handed back at once it would be claimed again at once, by whoever has no period either.
        await EventLoop.shared.sleep(milliseconds: QueryHandler.noPeriodMilliseconds)
        return self.handBack(job)
      }
      self.admit(job, period)
    }
  }

  private func admit(_ job: QueryJob, _ period: LoadedPeriod) {
    guard let index = period.taskIndex(job.grant.task), period.tasks[index].config.weight > 0 else {
      return refuse(job, status: 404, "the task \(job.grant.task) is not served in this period")
    }
    do throws(OrganicRequest.Invalid) {
      let parameters = try OrganicRequest.parameters(
        period.tasks[index].config, payload: job.takePayload(), random: &random)
      parts.routing.requested()
      serve(
        job,
        OrganicServing(
          period: period, taskIndex: index, request: UserRequest(parameters),
          reply: ReplyWriter.Reply(id: job.grant.id, token: job.grant.token, writer: parts.writer)))
    } catch {
      refuse(job, status: 400, error.description)
    }
  }

  /// Ends a job that no miner was asked for.
  private func refuse(_ job: QueryJob, status: Int, _ problem: String) {
    settle(job, Ending(state: .failed, name: "error", status: status, problem: problem), nil)
  }

  /// Asks a miner, and the next one while that may help.
  private func serve(_ job: QueryJob, _ serving: OrganicServing) {
    guard let request = serving.request,
      let target = nextTarget(job, serving, isAllowed: { $0.attempts.isEmpty || parts.routing.mayRetry() })
    else { return finish(job, serving) }
    let race = OrganicRace(reply: serving.reply) { ends in
      self.note(job, serving, ends)
      if let last = serving.last, last.mayBeTriedElsewhere {
        self.serve(job, serving)
      } else {
        self.finish(job, serving)
      }
    }
    race.hedge = hedge(job, serving, race, target)
    ask(job, serving, request, target, race)
  }

  /// Asks a second miner beside the first one, should that be silent for long.
  private func hedge(_ job: QueryJob, _ serving: OrganicServing, _ race: OrganicRace, _ target: Target)
    -> LoopTimer?
  {
    parts.routing.hedgeMilliseconds(target.task.config).map { milliseconds in
      EventLoop.shared.after(milliseconds: milliseconds) {
        guard race.isOpen, let request = serving.request,
          let other = self.nextTarget(job, serving, isAllowed: { _ in self.parts.routing.mayHedge() })
        else { return }
        self.ask(job, serving, request, other, race)
      }
    }
  }

  private func ask(
    _ job: QueryJob, _ serving: OrganicServing, _ request: UserRequest, _ target: Target, _ race: OrganicRace
  ) {
    race.begin()
    let prepared = prepare(job, target, request.parameters, race: race)
    prepared.run?.onShown = { serving.request = nil }
    attempt(prepared, totalMilliseconds: millisecondsLeft(job)) { race.end($0) }
  }

  /// The miner to ask next; nil when there is none, or no time, or no leave.
  private func nextTarget(
    _ job: QueryJob, _ serving: OrganicServing, isAllowed: (OrganicServing) -> Bool
  ) -> Target? {
    guard serving.tried.count < QueryHandler.attemptsMax, millisecondsLeft(job) > 0 else { return nil }
    let choice = parts.routing.choose(serving.period, taskIndex: serving.taskIndex, tried: serving.tried)
    guard let choice, isAllowed(serving) else { return nil }
    serving.tried.append(choice.hotkey)
    return Target(period: serving.period, taskIndex: serving.taskIndex, miner: choice.miner)
  }

  /// Notes what attempts came to.
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

  private func finish(_ job: QueryJob, _ serving: OrganicServing) {
    let (reply, last) = (serving.reply, serving.last)
    guard let ending = ending(job, last, reply: reply) else { return handBack(job) }
    if ending.name == "error" || ending.name == "expired", let last, last.wasShown {
      let event = QueryHandler.errorEvent(ending.problem, ending.status)
      parts.writer.write(event, to: reply, tokens: last.contentChunks)
    }
    parts.writer.end(reply) { self.settle(job, ending, serving) }
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

  /// - Parameter serving: what was tried; nil when no miner was asked.
  private func settle(_ job: QueryJob, _ ending: Ending, _ serving: OrganicServing?) {
    var last = [
      ("end", ending.name), ("status", String(ending.status)),
      ("bytes", String(serving?.reply.writtenBytes ?? 0)),
    ]
    if !ending.problem.isEmpty { last.append(("error", ending.problem)) }
    if let uid = serving?.uid { last.append(("uid", String(uid))) }
    if let result = serving?.last {
      // As measured: what the miner says of it does not count.
      last.append(("prompt_tokens", String(result.promptTokens)))
      last.append(("completion_tokens", String(result.contentChunks)))
      last.append(("first_ms", result.firstContentMilliseconds.map(String.init) ?? ""))
      last.append(("total_ms", String(result.totalMilliseconds)))
    }
    let settlement = Settlement(
      id: job.grant.id, token: job.grant.token, state: ending.state, attempts: serving?.attempts ?? [],
      sample: ending.name == "done" ? serving?.sample : nil, last: last)
    parts.settler.settle(settlement) { _ in self.end(job) }
  }
}
