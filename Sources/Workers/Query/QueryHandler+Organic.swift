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
  func handleOrganic(_ grant: Grant) async {
    guard let period = parts.snapshots.current else { return await release(grant) }
    guard let index = period.taskIndex(grant.task), period.snapshot.tasks[index].weight > 0 else {
      return await refuse(grant, status: 404, "the task \(grant.task) is not served in this period")
    }
    let task = period.snapshot.tasks[index]
    let parameters: QueryParameters
    do throws(OrganicRequest.Invalid) {
      parameters = try OrganicRequest.parameters(task, payload: grant.payload, random: &random)
    } catch {
      return await refuse(grant, status: 400, error.description)
    }
    await serve(grant, period: period, taskIndex: index, parameters)
  }

  /// Ends a job that no miner was asked for.
  private func refuse(_ grant: Grant, status: Int, _ problem: String) async {
    let ending = Ending(state: .failed, name: "error", status: status, problem: problem)
    await settle(grant, ending, attempts: [], sample: nil, result: nil, uid: nil)
  }

  private func serve(
    _ grant: Grant, period: LoadedPeriod, taskIndex: Int, _ parameters: QueryParameters
  ) async {
    let task = period.snapshot.tasks[taskIndex]
    let candidates = routable(period, taskIndex)
    let reply = ReplyWriter.Reply(id: grant.id, token: grant.token)
    var attempts: [SettledAttempt] = []
    var tried: Set<String> = []
    var last: AttemptResult?
    var sample: Sample?
    var uid: Int?
    while attempts.count < QueryHandler.attemptsMax {
      let left = millisecondsLeft(grant)
      guard left > 0 else { break }
      guard
        let choice = router.choose(
          task: task.name, candidates: candidates, tried: tried, now: Monotonic.now(), random: &random)
      else { break }
      tried.insert(choice.hotkey)
      let target = Target(period: period, task: task, miner: choice.miner)
      router.began(task: task.name, hotkey: choice.hotkey)
      let (result, body) = await attempt(grant, target, parameters, reply: reply, totalMilliseconds: left)
      router.ended(
        task: task.name, hotkey: choice.hotkey, outcome: result.outcome,
        firstContentMilliseconds: result.firstContentMilliseconds,
        retryAfterSeconds: result.retryAfterSeconds, now: Monotonic.now())
      note(result, task: task.name)
      last = result
      uid = target.record.uid
      attempts.append(target.entry(grant, result, settles: false))
      if let answer = result.answer { sample = parts.room.sample(task, request: body, answer: answer) }
      let mayRetry = result.outcome.counter == .failure || result.outcome.counter == .rateLimit
      guard mayRetry, result.firstContentMilliseconds == nil else { break }
    }
    await finish(grant, reply, attempts, sample, last, uid)
  }

  /// The miners that claim capacity for a task.
  private func routable(_ period: LoadedPeriod, _ task: Int) -> [Router.Candidate] {
    let capacities = period.snapshot.capacities[task]
    return period.snapshot.miners.indices.compactMap { miner in
      guard capacities[miner] > 0 else { return nil }
      return Router.Candidate(
        miner: miner, hotkey: period.snapshot.miners[miner].hotkey, capacity: capacities[miner])
    }
  }

  private func millisecondsLeft(_ grant: Grant) -> Int {
    guard let deadline = grant.deadlineMilliseconds else { return .max }
    return deadline - parts.clock.nowMilliseconds
  }

  private func finish(
    _ grant: Grant, _ reply: ReplyWriter.Reply, _ attempts: [SettledAttempt], _ sample: Sample?,
    _ last: AttemptResult?, _ uid: Int?
  ) async {
    let ending = self.ending(last, reply: reply)
    guard let ending else { return await release(grant) }
    if ending.name == "error", last?.firstContentMilliseconds != nil {
      parts.writer.write(QueryHandler.errorEvent(ending.problem, ending.status), to: reply)
    } else if ending.name == "done", last?.contentChunks ?? 0 > 0 {
      parts.writer.write(Array("data: [DONE]\n\n".utf8), to: reply)
    }
    await parts.writer.drain(reply)
    await settle(
      grant, ending, attempts: attempts, sample: ending.name == "done" ? sample : nil, result: last, uid: uid)
  }

  /// How the job ended; nil when it should run again elsewhere.
  private func ending(_ last: AttemptResult?, reply: ReplyWriter.Reply) -> Ending? {
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
      guard last.firstContentMilliseconds != nil else { return nil }
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

  private func settle(
    _ grant: Grant, _ ending: Ending, attempts: [SettledAttempt], sample: Sample?, result: AttemptResult?,
    uid: Int?
  ) async {
    var last = [("end", ending.name), ("status", String(ending.status))]
    if !ending.problem.isEmpty { last.append(("error", ending.problem)) }
    if let uid { last.append(("uid", String(uid))) }
    if let result {
      // Four characters make about a token: what the miner says of it does not count.
      last.append(("prompt_tokens", String(max(1, grant.payload.count / 4))))
      last.append(("completion_tokens", String(result.contentChunks)))
      last.append(("first_ms", result.firstContentMilliseconds.map(String.init) ?? ""))
      last.append(("total_ms", String(result.totalMilliseconds)))
    }
    _ = await parts.settler.settle(
      Settlement(
        id: grant.id, token: grant.token, state: ending.state, attempts: attempts, sample: sample,
        last: last))
  }
}
