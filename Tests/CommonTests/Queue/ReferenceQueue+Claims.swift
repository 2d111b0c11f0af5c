@testable import Common

extension ReferenceQueue {
  // MARK: claim

  struct Claimed {
    var next: Int?
    var organicsWait = false
    var ids: [String] = []
  }

  mutating func claim(
    worker: String, request: Int, series: String, nonce: String, organicMax: Int, syntheticMax: Int
  ) -> Claimed {
    if let known = workers[worker]?.claims[series], known.request == request {
      let ids = known.granted.filter { id in
        jobs[id]?.state == "running" && jobs[id]?.token?.hasPrefix(nonce) == true
      }
      for id in ids { renew(id, SyntheticJob(id: id) == nil ? Self.organicLease : Self.syntheticLease) }
      return Claimed(next: nextDue, ids: ids)
    }
    var claimed = Claimed()
    if organicMax > 0 && !paused.contains("organic") {
      for id in organics.prefix(organicMax) {
        grant(id, worker, nonce, Self.organicLease, &claimed)
        change(id) { $0.written = ReplyPosition() }
      }
      if !organics.isEmpty {
        wakeOrganic = 0
        claimed.organicsWait = true
      }
    }
    let room = min(syntheticMax, organicMax - claimed.ids.count)
    if room > 0 {
      if !paused.contains("synthetic") { claimSynthetics(worker, nonce, room, &claimed) }
    } else {
      claimed.next = nextDue
      if syntheticMax > 0, let head = nextDue { wakeDue = min(wakeDue ?? head, head) }
    }
    workers[worker, default: Worker()].claims[series] = (request, claimed.ids)
    return claimed
  }

  private var nextDue: Int? { paused.contains("synthetic") ? nil : dues.first?.score }

  private mutating func grant(
    _ id: String, _ worker: String, _ nonce: String, _ lease: Int, _ claimed: inout Claimed
  ) {
    claimed.ids.append(id)
    let token = "\(nonce).\(claimed.ids.count)"
    let until = now + lease
    change(id) { job in
      job.state = "running"
      job.place = .lease(until)
      job.isInDeadlines = false
      job.token = token
      job.worker = worker
      // The record of a query that begins for the first time says no number.
      let known = job.kind == .organic ? 0 : job.hasRecord ? 1 : nil
      job.attempt = known.map { (job.attempt ?? $0) + 1 }
      job.hasRecord = true
    }
  }

  private mutating func claimSynthetics(
    _ worker: String, _ nonce: String, _ most: Int, _ claimed: inout Claimed
  ) {
    var tokens: Double?
    var allowed = most
    if let pace {
      let filled = min(pace.burst, pace.tokens + Double(now - pace.at) * pace.rate / 1000)
      tokens = filled
      allowed = min(most, Int(max(filled, 0)))
    }
    for (_, id) in dues.filter({ $0.score <= now }).prefix(allowed) {
      let planned = SyntheticJob(id: id)!
      if let reason = skipReason(planned) {
        skip(id, planned.period.startSeconds, reason)
      } else {
        grant(id, worker, nonce, Self.syntheticLease, &claimed)
        tokens = tokens.map { $0 - 1 }
      }
    }
    if let tokens {
      pace!.tokens = tokens
      pace!.at = now
    }
    guard let head = dues.first else { return }
    var at = head.score
    if let tokens, tokens < 1 {
      at = max(at, now + Int(((1 - tokens) * 1000 / pace!.rate).rounded(.up)))
    }
    claimed.next = at
    wakeDue = at
  }

  private func skipReason(_ job: SyntheticJob) -> String? {
    let period = job.period.startSeconds
    if now >= end(of: period) { return "expired" }
    let volume = volumes[period] ?? [:]
    if volume["gone:\(job.miner)"] != nil { return "deregistered" }
    guard let test = volume["test:\(job.task):\(job.miner)"],
      let used = volume["used:\(job.task):\(job.miner)"]
    else { return nil }
    return used >= test ? "volume" : nil
  }

  // MARK: settle

  mutating func countUsage(_ task: String, _ last: [String: String]) {
    usage["|\(task)|requests", default: 0] += 1
    for name in ["prompt_tokens", "completion_tokens"] {
      usage["|\(task)|\(name)", default: 0] += last[name].flatMap(Int.init) ?? 0
    }
  }

  mutating func settle(_ settlement: Settlement) -> LeaseResult {
    let id = settlement.id
    guard let job = jobs[id], job.token == settlement.token else { return .lost }
    if job.state == "cancelled" {
      change(id) { $0.token = nil }
      for (index, attempt) in settlement.attempts.enumerated() {
        var entry = attempt.entry
        if index == settlement.attempts.count - 1 {
          entry.outcome = .cancelled
          entry.workMilli = 0
          entry.units = 0
        }
        write("attempt", FieldList.attempt(entry, miner: attempt.miner))
      }
      if job.kind == .organic { countUsage(job.task, Dictionary(settlement.last) { $1 }) }
      return .cancelled
    }
    guard job.state == "running", job.kind != .check else { return .lost }
    for attempt in settlement.attempts {
      write("attempt", FieldList.attempt(attempt.entry, miner: attempt.miner))
      let period = attempt.entry.period.startSeconds
      if attempt.entry.workMilli > 0 && periods[period] != nil {
        let field = "used:\(attempt.entry.task):\(attempt.miner)"
        volumes[period, default: [:]][field, default: 0] += attempt.entry.workMilli
      }
    }
    if let sample = settlement.sample, let last = settlement.attempts.last {
      offer(sample, "c:" + settlement.token, last)
    }
    if job.kind == .organic {
      let last = Dictionary(settlement.last) { $1 }
      finish(id, settlement.state.rawValue, reply: "end=\(last["end"] ?? settlement.state.rawValue)")
      // Who did it stays readable.
      change(id) { ended in (ended.token, ended.worker) = (job.token, job.worker) }
      countUsage(job.task, last)
    } else {
      touched.insert(id)
      periods[job.period!]?.settled[settlement.state == .done ? "done" : "failed", default: 0] += 1
      jobs[id] = nil
    }
    return .ok
  }

  private mutating func offer(_ sample: Sample, _ id: String, _ attempt: SettledAttempt) {
    let task = attempt.entry.task
    guard lane(task).count < sample.waitingMax,
      checks["bytes", default: 0] + sample.answer.count <= sample.bytesMax
    else {
      checks["dropped", default: 0] += 1
      return
    }
    checks["bytes", default: 0] += sample.answer.count
    checks["waiting:" + task, default: 0] += 1
    var job = Job(id: id, kind: .check, task: task, place: .lane(now))
    job.hotkey = attempt.entry.hotkey
    job.answer = sample.answer.count
    job.fields = FieldList.attempt(attempt.entry, miner: attempt.miner)
    jobs[id] = job
    touched.insert(id)
    wakeCheck = 0
  }

  // MARK: checks

  mutating func claimCheck(worker: String, nonce: String, server: String, tasks: [String]) -> String? {
    if let known = workers[worker], known.checkNonce == nonce {
      guard let id = known.check.flatMap({ held($0, nonce)?.id }) else { return nil }
      renew(id, Self.checkLease)
      return id
    }
    if paused.contains("check") { return nil }
    guard let id = nextCheck(server, tasks) else {
      if let next = tasks.compactMap({ lane($0).first?.score }).min() { wakeCheck = next }
      return nil
    }
    checks["waiting:" + jobs[id]!.task, default: 0] -= 1
    let until = now + Self.checkLease
    change(id) { job in
      job.state = "running"
      job.place = .lease(until)
      job.token = nonce
      job.worker = worker
      job.attempt = (job.attempt ?? 0) + 1
    }
    wakeCheck = 0
    workers[worker, default: Worker()].checkNonce = nonce
    workers[worker]!.check = id
    return id
  }

  private func nextCheck(_ server: String, _ tasks: [String]) -> String? {
    let ready = tasks.map { task in lane(task).filter { $0.score <= now }.map(\.id) }
    if let left = begun[server], ready.contains(where: { $0.contains(left) }) { return left }
    for (task, ids) in zip(tasks, ready) {
      func verdicts(_ id: String) -> Int { self.verdicts["\(task)|\(jobs[id]!.hotkey!)"] ?? 0 }
      if let least = ids.map(verdicts).min() { return ids.first { verdicts($0) == least } }
    }
    return nil
  }

  mutating func noteCheck(_ id: String, _ token: String, server: String, remote: String) -> Bool {
    guard let job = held(id, token) else { return false }
    forgetBegun(job)
    change(id) { $0.remote = remote.isEmpty ? "" : server + " " + remote }
    if !remote.isEmpty { begun[server] = id }
    return true
  }

  private mutating func forgetBegun(_ job: Job) {
    let server = job.remote?.split(separator: " ").first.map(String.init) ?? ""
    if begun[server] == job.id { begun[server] = nil }
  }

  mutating func settleCheck(_ id: String, _ token: String, state: String, score: Double?) -> Bool {
    guard let job = held(id, token), job.kind == .check else { return false }
    write(
      "verdict",
      ["check", id, "state", state, "score", score.map { String($0) } ?? ""] + job.fields)
    checks["bytes", default: 0] -= job.answer!
    checks[state, default: 0] += 1
    forgetBegun(job)
    if state == "judged" {
      verdicts["\(job.task)|\(job.hotkey!)", default: 0] += 1
      judged[job.task, default: [:]][job.hotkey!, default: 0] += 1
    }
    touched.insert(id)
    jobs[id] = nil
    return true
  }

  // MARK: periods

  mutating func lead(_ token: String, isKept: Bool) -> Bool {
    if let leader, leader != token { return false }
    leader = isKept ? token : nil
    return isKept
  }

  mutating func open(
    _ token: String, _ period: Int, end: Int, planned: Int, rate: Double, burst: Double
  ) -> Bool? {
    guard leader == token else { return nil }
    if periods[period] != nil { return false }
    periods[period] = Period(end: end, planned: planned)
    pace = Pace(rate: rate, burst: burst, tokens: burst, at: now)
    write("opened", ["period", "\(period)"])
    return true
  }

  mutating func schedule(
    _ token: String, _ period: Int, chunk: Int, isLast: Bool, volumes: [(String, Int)],
    jobs list: [(dueMilliseconds: Int, id: String)]
  ) -> JobQueue.ScheduleResult {
    guard leader == token else { return .stale }
    guard let record = periods[period] else { return .unknown }
    if record.next != chunk { return .next(record.next) }
    if record.state != "planning" { return .unknown }
    for (field, value) in volumes { self.volumes[period, default: [:]][field] = value }
    for (due, id) in list {
      jobs[id] = Job(id: id, kind: .synthetic, task: SyntheticJob(id: id)!.task, place: .due(due))
      jobs[id]!.hasRecord = false
      touched.insert(id)
    }
    if let first = list.first {
      wakeDue = min(wakeDue ?? first.dueMilliseconds, first.dueMilliseconds)
      periods[period]!.scheduled = (record.scheduled ?? 0) + list.count
    }
    periods[period]!.next += 1
    if isLast { periods[period]!.state = "open" }
    return .next(chunk + 1)
  }

  mutating func sweep(_ token: String, _ period: Int, limit: Int) -> Int? {
    guard leader == token else { return nil }
    let end = end(of: period)
    guard now >= end else { return 0 }
    let left = dues.filter { $0.score < end }.prefix(limit).filter {
      SyntheticJob(id: $0.id)!.period.startSeconds <= period
    }
    for (_, id) in left { skip(id, SyntheticJob(id: id)!.period.startSeconds, "expired") }
    return left.count
  }

  mutating func close(_ token: String, _ period: Int, isForced: Bool) -> JobQueue.CloseResult {
    guard leader == token else { return .stale }
    guard let record = periods[period] else { return .unknown }
    if record.state == "closed" { return .closed }
    let unsettled = record.planned - record.settled.values.reduce(0, +)
    if now < record.end || (unsettled > 0 && !isForced) { return .open(unsettled: unsettled) }
    periods[period]!.state = "closed"
    write("closed", ["period", "\(period)"])
    return .closed
  }

  mutating func deregister(_ token: String, _ period: Int, miners: [Int]) -> Int? {
    guard leader == token else { return nil }
    guard periods[period] != nil else { return 0 }
    var count = 0
    for miner in miners where volumes[period]?["gone:\(miner)"] == nil {
      volumes[period, default: [:]]["gone:\(miner)"] = 1
      count += 1
    }
    return count
  }
}
