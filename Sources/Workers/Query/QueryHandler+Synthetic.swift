import Common

/// Planned queries: each asks one miner once.
extension QueryHandler {
  /// Runs a planned query to its end.
  func handleSynthetic(_ job: QueryJob) {
    guard let named = job.grant.planned else { return handBackUnread(job) }
    if let period = parts.snapshots.known(named.period) { return ask(job, named, period) }
    IO.task { @IO in
      guard let period = await self.parts.snapshots.period(named.period) else {
        return self.handBackUnread(job)
      }
      self.ask(job, named, period)
    }
  }

  private func ask(_ job: QueryJob, _ named: SyntheticJob, _ period: LoadedPeriod) {
    guard let index = period.taskIndex(named.task), period.snapshot.miners.indices.contains(named.miner)
    else { return handBackUnread(job) }
    let target = Target(period: period, taskIndex: index, miner: named.miner)
    let query = SyntheticQuery(corpus: parts.corpus, shapes: parts.shapes)
    let parameters = query.parameters(target.task.config, id: job.grant.id, seed: period.seed)
    attempt(prepare(job, target, parameters, race: nil), totalMilliseconds: .max) { self.settle(job, $0) }
  }

  private func settle(_ job: QueryJob, _ end: AttemptEnd) {
    guard end.result.outcome.counter != .none else { return handBack(job) }
    note(end.result)
    let settlement = Settlement(
      id: job.grant.id, token: job.grant.token, state: end.result.outcome == .ok ? .done : .failed,
      attempts: [end.target.entry(job.grant, end.result, settles: true)],
      sample: end.result.answer.map {
        parts.room.sample(end.target.task.config, request: end.body, answer: $0)
      })
    parts.settler.settle(settlement) { _ in self.end(job) }
  }

  private func handBackUnread(_ job: QueryJob) {
    Log.shared.error("planned query cannot be read", ["job": job.grant.id])
    handBack(job)
  }
}
