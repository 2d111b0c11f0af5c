/// What the ledger says of one period: which planned queries it settled, and how.
struct FsckTally {
  /// The index of each task's and miner's first query among all; then the count of all.
  private var firsts: [String: [Int]] = [:]
  private var settled: [UInt64]
  /// Queries that are due or running.
  private var standing: [UInt64]
  let snapshot: PeriodSnapshot
  /// Settling attempts that were good, and those that were not.
  var done = 0
  var failed: Int { attempts - done }
  /// Settling attempts, skips for another reason than the period's end, expired ones, dead ones.
  var attempts = 0
  var skipped = 0
  var expired = 0
  var dead = 0
  var isClosed = false

  init(_ snapshot: PeriodSnapshot) {
    self.snapshot = snapshot
    var next = 0
    for (task, counts) in zip(snapshot.tasks, snapshot.counts) {
      var starts: [Int] = []
      for count in counts {
        starts.append(next)
        next += count
      }
      firsts[task.name] = starts + [next]
    }
    settled = [UInt64](repeating: 0, count: next / 64 + 1)
    standing = settled
  }

  /// The query's number among all of the period; nil when it was not planned.
  private func index(_ job: SyntheticJob) -> Int? {
    guard let starts = firsts[job.task], job.miner < starts.count - 1,
      starts[job.miner] + job.number < starts[job.miner + 1]
    else { return nil }
    return starts[job.miner] + job.number
  }

  /// Notes that a query is due or running.
  mutating func stand(_ job: SyntheticJob) {
    if let index = index(job) { standing[index / 64] |= 1 << UInt64(index % 64) }
  }

  /// Up to `most` planned queries that are neither settled nor anywhere.
  func missing(most: Int) -> [SyntheticJob] {
    var missing: [SyntheticJob] = []
    for (task, counts) in zip(snapshot.tasks, snapshot.counts) {
      for (miner, count) in counts.enumerated() {
        for number in 0..<count where missing.count < most {
          let job = SyntheticJob(period: snapshot.id, task: task.name, miner: miner, number: number)
          guard let index = index(job) else { continue }
          if (settled[index / 64] | standing[index / 64]) & (1 << UInt64(index % 64)) == 0 {
            missing.append(job)
          }
        }
      }
    }
    return missing
  }

  /// Notes that a query was settled. Returns what is wrong with that, nil when nothing is.
  mutating func settle(_ job: SyntheticJob) -> String? {
    guard let index = index(job) else { return "is settled and was not planned" }
    let bit: UInt64 = 1 << UInt64(index % 64)
    defer { settled[index / 64] |= bit }
    return settled[index / 64] & bit == 0 ? nil : "is settled twice"
  }
}

extension FsckPass {
  /// Every entry of the ledger, in pages.
  func walkLedger() async throws(RedisError) {
    let counts = try await queue.redis.send("HGETALL", keys.fixed(.counts)).fields ?? [:]
    var found: [String: Int] = [:]
    var cursor = ""
    while true {
      let records = try await queue.readLedger(after: cursor, limit: 500)
      guard let last = records.last else { break }
      cursor = last.id
      for record in records { note(record, &found) }
    }
    report.count("ledger", found.values.reduce(0, +))
    guard try await isLedgerWhole() else { return }
    for type in Set(counts.keys).union(found.keys).sorted() {
      expect("counts \(type)", counts[type].flatMap(Int.init) ?? 0, found[type] ?? 0) {
        .count(.counts, type, by: $0)
      }
    }
  }

  /// Whether nothing was trimmed: only then do the counters tell what is there.
  private func isLedgerWhole() async throws(RedisError) -> Bool {
    guard try await queue.redis.send("EXISTS", keys.fixed(.ledger)).int == 1 else { return true }
    let about = try await queue.redis.send("XINFO", "STREAM", keys.fixed(.ledger)).elements ?? []
    func number(_ name: String) -> Int? {
      about.firstIndex { $0.text == name }.flatMap { $0 + 1 < about.count ? about[$0 + 1].int : nil }
    }
    return number("entries-added") == number("length")
  }

  private func note(_ record: LedgerRecord, _ found: inout [String: Int]) {
    guard let entry = record.entry else {
      report.add(.ledger, record.id, "cannot be understood", .entry(record.id))
      return
    }
    switch entry {
    case .opened(let snapshot):
      found["opened", default: 0] += 1
      if tallies[snapshot.id] != nil {
        return report.add(.ledger, "period:\(snapshot.id)", "opened twice", .entry(record.id))
      }
      tallies[snapshot.id] = FsckTally(snapshot)
    case .attempt(let attempt):
      found["attempt", default: 0] += 1
      guard attempt.settles, let job = SyntheticJob(id: attempt.job) else { return }
      settle(job, record.id) { tally in
        tally.attempts += 1
        if attempt.outcome == .ok { tally.done += 1 }
      }
    case .verdict: found["verdict", default: 0] += 1
    case .skipped(let skip):
      found["skip", default: 0] += 1
      settle(skip.job, record.id) { tally in
        if skip.reason == .expired { tally.expired += 1 } else { tally.skipped += 1 }
      }
    case .dead(let dead):
      found["dead", default: 0] += 1
      if let job = SyntheticJob(id: dead.job) { settle(job, record.id) { $0.dead += 1 } }
    case .closed(let period):
      found["closed", default: 0] += 1
      if tallies[period]?.isClosed == true {
        report.add(.ledger, "period:\(period)", "closed twice", .entry(record.id))
      }
      tallies[period]?.isClosed = true
    }
  }

  /// Whoever settles a query a second time is not counted.
  private func settle(_ job: SyntheticJob, _ entry: String, _ change: (inout FsckTally) -> Void) {
    guard var tally = tallies.removeValue(forKey: job.period) else { return }
    if let wrong = tally.settle(job) {
      report.add(.ledger, job.description, wrong, .entry(entry))
    } else {
      change(&tally)
    }
    tallies[job.period] = tally
  }

  // MARK: periods

  /// Each period's queries are all accounted for, and the ledger says the same.
  func checkPeriods() async throws(RedisError) {
    let open = Set(try await queue.openPeriods())
    for period in periods.union(open).sorted() {
      let name = "period:\(period)"
      let mend = FsckMend.period(period)
      // Of another type: that was told already.
      if report.problems.contains(where: { $0.mend == .aside(name) }) { continue }
      guard let record = try await queue.periodRecord(period) else {
        report.add(.period, name, "is open and has no record", mend)
        continue
      }
      report.count("periods")
      let isClosed = record.state == "closed"
      if open.contains(period) == isClosed {
        report.add(.period, name, isClosed ? "closed, and among the open" : "not among the open", mend)
      }
      try await checkLives(period, isClosed: isClosed)
      let settled = record.settled
      func agree(_ what: String, _ counted: Int, _ found: Int) {
        expect(name + what, counted, found, .period) { _ in mend }
      }
      agree("", record.scheduled, record.settledCount + (inFlight[period] ?? 0))
      if record.scheduled > record.planned || (record.state == "open" && record.scheduled < record.planned) {
        let text = "planned and scheduled are off by \(record.planned - record.scheduled)"
        report.add(.period, name, text, mend)
      }
      guard let tally = tallies[period] else { continue }
      agree(" attempts", (settled["done"] ?? 0) + (settled["failed"] ?? 0), tally.attempts)
      agree(" skipped", settled["skipped"] ?? 0, tally.skipped)
      agree(" expired", settled["expired"] ?? 0, tally.expired)
      agree(" dead", settled["dead"] ?? 0, tally.dead)
      if tally.isClosed != isClosed {
        report.add(.period, name, "ledger and record differ about its end", mend)
      }
    }
  }

  private func checkLives(_ period: PeriodID, isClosed: Bool) async throws(RedisError) {
    for key in [keys.period(period), keys.volume(period)] {
      let life = try await queue.redis.send("PTTL", key).int ?? -2
      if life != -2, (life > 0) != isClosed {
        let text = isClosed ? "of a closed period will stay for ever" : "of an open period will vanish"
        let name = String(key.dropFirst(keys.prefix.count))
        report.add(.lifetime, name, text, .life(name, seconds: isClosed ? 86_400 : 0))
      }
    }
  }
}
