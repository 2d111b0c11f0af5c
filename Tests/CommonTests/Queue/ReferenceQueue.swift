@testable import Common

/// What the queue must do, in plain Swift on plain values: the judge of the Lua scripts. A job's place is one
/// value, so it cannot stand in two; all that the scripts keep in several keys is derived from it.
struct ReferenceQueue {
  enum Place: Equatable {
    case nowhere, organic
    case due(Int), lease(Int), dead(Int), lane(Int)
  }

  struct Job {
    var id: String
    var kind: JobKind
    var task: String
    var place: Place
    var state = "waiting"
    /// A planned query has no record before its first claim.
    var hasRecord = true
    /// Whether the record goes away by itself.
    var isRemembered = false
    var order: Int?
    var deadline: Int?
    var isInDeadlines = false
    var attempt: Int?
    var crashes: Int?
    var token: String?
    var worker: String?
    /// How far the reply has come; nil unless the job is an organic that runs.
    var written: ReplyPosition?
    /// Bytes of the whole reply, once it ended.
    var replyBytes: Int?
    var payload: Int?
    var reply: [String] = []
    var hotkey: String?
    var remote: String?
    var answer: Int?
    var kept: Int?
    var hasContent: Bool { written.map { $0.pieces > 0 } ?? false }
    var fields: [String] = []
    /// Where a waiting answer stands, after release and recovery too.
    var period: Int? { SyntheticJob(id: id)?.period.startSeconds }
  }

  struct Worker {
    /// The last claim of each series.
    var claims: [String: (request: Int, granted: [String])] = [:]
    var checkNonce: String?
    var check: String?
  }

  struct Period {
    var end: Int
    var planned: Int
    var state = "planning"
    var scheduled: Int?
    var next = 0
    var settled: [String: Int] = [:]
  }

  struct Pace {
    var rate: Double
    var burst: Double
    var tokens: Double
    var at: Int
  }

  var now = 0
  var jobs: [String: Job] = [:]
  var workers: [String: Worker] = [:]
  var periods: [Int: Period] = [:]
  /// Volumes by period, then field; kept apart since they outlive nothing but their period.
  var volumes: [Int: [String: Int]] = [:]
  var paused: Set<String> = []
  var pace: Pace?
  var leader: String?
  var ledger: [String] = []
  var counts: [String: Int] = [:]
  var checks: [String: Int] = [:]
  /// The check that each server was left with.
  var begun: [String: String] = [:]
  var verdicts: [String: Int] = [:]
  var usage: [String: Int] = [:]
  var admission = 0
  var deadBytes = 0
  var wakeOrganic: Int?
  var wakeDue: Int?
  var wakeCheck: Int?
  var wakeWorkers: [String: Set<String>] = [:]
  /// Whether more than 80 % of the memory is used.
  var isShort = false
  /// By task, then worker: when a report was written, and the report.
  var routes: [String: [String: (at: Int, report: String)]] = [:]
  /// Judged verdicts by task, then hotkey.
  var judged: [String: [String: Int]] = [:]
  var foldLeader: String?
  /// How far the aggregator read, and the results that are kept, newest first.
  var cursor = ""
  var history: [String] = []
  /// Jobs that the current operation may have changed.
  var touched: Set<String> = []

  static let organicLease = 60_000
  static let syntheticLease = 150_000
  static let checkLease = 100_000
  static let tasks = ["chat", "image"]

  // MARK: lookups

  private func sorted(_ score: (Job) -> Int?) -> [(score: Int, id: String)] {
    jobs.values.compactMap { job in score(job).map { ($0, job.id) } }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
  }
  var organics: [String] { sorted { $0.place == .organic ? $0.order : nil }.map(\.id) }
  var deadlines: [(score: Int, id: String)] { sorted { $0.isInDeadlines ? $0.deadline : nil } }
  var dues: [(score: Int, id: String)] { sorted { if case .due(let at) = $0.place { at } else { nil } } }
  var leases: [(score: Int, id: String)] { sorted { if case .lease(let at) = $0.place { at } else { nil } } }
  var dead: [(score: Int, id: String)] { sorted { if case .dead(let at) = $0.place { at } else { nil } } }
  func lane(_ task: String) -> [(score: Int, id: String)] {
    sorted { if $0.task == task, case .lane(let at) = $0.place { at } else { nil } }
  }
  func end(of period: Int) -> Int { periods[period]?.end ?? 0 }

  mutating func change(_ id: String, _ body: (inout Job) -> Void) {
    touched.insert(id)
    body(&jobs[id]!)
  }

  /// The job if `token` holds its lease now.
  func held(_ id: String, _ token: String) -> Job? {
    guard let job = jobs[id], job.state == "running", job.token == token else { return nil }
    return job
  }

  // MARK: shared steps

  mutating func write(_ type: String, _ fields: [String]) {
    ledger.append((["type", type] + fields).joined(separator: " "))
    counts[type, default: 0] += 1
  }

  mutating func skip(_ id: String, _ period: Int, _ reason: String) {
    touched.insert(id)
    write("skip", ["job", id, "reason", reason])
    periods[period]?.settled[reason == "expired" ? "expired" : "skipped", default: 0] += 1
    jobs[id] = nil
  }

  /// Back to where a job waits, at `at` where it has a time.
  mutating func wait(_ id: String, at: Int, checkWake: Int) {
    change(id) { job in
      job.state = "waiting"
      job.token = nil
      job.worker = nil
      job.written = nil
    }
    let job = jobs[id]!
    switch job.kind {
    case .organic:
      jobs[id]!.place = .organic
      jobs[id]!.isInDeadlines = job.deadline != nil
      wakeOrganic = 0
    case .check:
      jobs[id]!.place = .lane(at)
      checks["waiting:" + job.task, default: 0] += 1
      wakeCheck = min(wakeCheck ?? checkWake, checkWake)
    case .synthetic:
      jobs[id]!.place = .due(at)
      wakeDue = min(wakeDue ?? at, at)
    }
  }

  /// The end of an organic: what is left is remembered for a while.
  mutating func finish(_ id: String, _ state: String, reply: String, keepsToken: Bool = false) {
    change(id) { job in
      job.state = state
      job.place = .nowhere
      job.isInDeadlines = false
      job.isRemembered = true
      job.payload = nil
      job.reply.append(reply)
      if state != "expired" { job.replyBytes = job.written?.bytes ?? 0 }
      job.written = nil
      if !keepsToken {
        job.token = nil
        job.worker = nil
      }
    }
  }

  // MARK: organics

  mutating func submit(_ id: String, task: String, bytes: Int, allowed: Int, waitingMax: Int) -> SubmitResult
  {
    if let known = jobs[id] { return .duplicate(state: known.state) }
    if paused.contains("intake") { return .refused(reason: "paused") }
    if isShort {
      return .refused(Refusal(reason: "full", field: "memory", problem: "is used to more than 80 %"))
    }
    if organics.count >= waitingMax { return .refused(reason: "full") }
    admission += 1
    var job = Job(id: id, kind: .organic, task: task, place: .organic)
    job.order = admission
    job.payload = bytes
    if allowed > 0 {
      job.deadline = now + allowed
      job.isInDeadlines = true
    }
    jobs[id] = job
    touched.insert(id)
    wakeOrganic = 0
    return .created
  }

  mutating func cancel(_ id: String) -> String {
    guard let job = jobs[id], job.kind == .organic else { return "unknown" }
    guard job.state == "waiting" || job.state == "running" else { return job.state }
    if job.state == "running", let worker = job.worker { wakeWorkers[worker, default: []].insert(id) }
    finish(id, "cancelled", reply: "end=cancelled", keepsToken: true)
    return "cancelled"
  }

  mutating func expire(limit: Int) -> Int {
    let late = deadlines.filter { $0.score <= now }.prefix(limit)
    for (_, id) in late { finish(id, "expired", reply: "end=expired") }
    return late.count
  }

  mutating func append(
    _ id: String, _ token: String, at start: ReplyPosition, sizes: [Int]
  ) -> [Int: LeaseResult] {
    var position = start
    var refused: [Int: LeaseResult] = [:]
    for (index, size) in sizes.enumerated() {
      let end = position.after(bytes: size, tokens: 0)
      if let reason = appendOne(id, token, position, size) { refused[index] = reason }
      position = end
    }
    return refused
  }

  /// Writes one piece, or says why not; nil as well when it was there already.
  private mutating func appendOne(
    _ id: String, _ token: String, _ start: ReplyPosition, _ size: Int
  ) -> LeaseResult? {
    guard let job = jobs[id], job.token == token, job.kind == .organic else { return .lost }
    if job.state == "cancelled" { return .cancelled }
    guard let written = job.written else { return .lost }
    guard written.pieces == start.pieces else { return written.pieces > start.pieces ? nil : .lost }
    change(id) { job in
      job.written = start.after(bytes: size, tokens: 0)
      job.reply.append("\(start.pieces + 1):\(size)")
    }
    return nil
  }

  // MARK: leases

  mutating func release(_ id: String, _ token: String, at: Int) -> LeaseResult {
    guard let job = held(id, token) else {
      if let job = jobs[id], job.token == token, job.state == "cancelled" { change(id) { $0.token = nil } }
      return .lost
    }
    if job.hasContent { return .hasContent }
    if let period = job.period, max(at, now) >= end(of: period) {
      skip(id, period, "expired")
      return .ok
    }
    change(id) { $0.attempt = max(0, ($0.attempt ?? 1) - 1) }
    wait(id, at: at, checkWake: at)
    return .ok
  }

  mutating func renew(worker: String, jobs list: [(id: String, token: String, lease: Int)]) -> [String:
    LeaseResult]
  {
    workers[worker] = workers[worker] ?? Worker()
    var ended: [String: LeaseResult] = [:]
    for item in list {
      if held(item.id, item.token) != nil {
        renew(item.id, item.lease)
      } else if let job = jobs[item.id], job.token == item.token, job.state == "cancelled" {
        ended[item.id] = .cancelled
      } else {
        ended[item.id] = .lost
      }
    }
    return ended
  }

  mutating func renew(_ id: String, _ lease: Int) {
    guard case .lease(let until) = jobs[id]?.place else { return }
    let renewed = max(until, now + lease)
    change(id) { $0.place = .lease(renewed) }
  }

  mutating func recover(limit: Int) -> JobQueue.Recovery {
    var result = JobQueue.Recovery(takenBack: 0, dead: 0, interrupted: 0, isPartial: false)
    let late = leases.filter { $0.score <= now }.prefix(limit)
    result.isPartial = late.count == limit
    for (_, id) in late {
      if workers[jobs[id]!.worker ?? ""] == nil { change(id) { $0.crashes = ($0.crashes ?? 0) + 1 } }
      let job = jobs[id]!
      if job.kind == .organic && job.hasContent {
        write("dead", ["job", id, "kind", "organic", "reason", "interrupted"])
        countUsage(job.task, ["prompt_tokens": String(max(1, (job.payload ?? 0) / 4))])
        finish(id, "interrupted", reply: "end=interrupted")
        result.interrupted += 1
      } else if job.crashes ?? 0 >= 3 {
        giveUp(job)
        result.dead += 1
      } else if let period = job.period, now >= end(of: period) {
        skip(id, period, "expired")
        result.takenBack += 1
      } else {
        wait(id, at: now, checkWake: 0)
        result.takenBack += 1
      }
    }
    if !organics.isEmpty { wakeOrganic = 0 }
    if let head = dues.first { wakeDue = min(wakeDue ?? head.score, head.score) }
    if checks.contains(where: { $0.key.hasPrefix("waiting:") && $0.value > 0 }) {
      wakeCheck = min(wakeCheck ?? now, now)
    }
    return result
  }

  private mutating func giveUp(_ job: Job) {
    write(
      "dead",
      [
        "job", job.id, "kind", job.kind.rawValue, "reason",
        "left behind by \(job.crashes!) workers that died",
      ])
    let kept = (job.payload ?? 0) + (job.answer ?? 0)
    deadBytes += kept
    if job.kind == .check { checks["bytes", default: 0] -= kept }
    if let period = job.period { periods[period]?.settled["dead", default: 0] += 1 }
    let now = now
    change(job.id) { dead in
      dead.state = "dead"
      dead.written = nil
      dead.token = nil
      dead.worker = nil
      dead.kept = kept
      dead.place = .dead(now)
      if dead.kind == .organic { dead.reply.append("end=dead") }
    }
  }

  mutating func revive(_ id: String, _ what: String) -> String {
    guard let job = jobs[id], case .dead = job.place else { return "unknown" }
    touched.insert(id)
    if what == "retry" && job.kind == .synthetic { return "too_late" }
    deadBytes -= job.kept ?? 0
    jobs[id]!.kept = nil
    if what == "drop" {
      jobs[id]!.place = .nowhere
      jobs[id]!.payload = nil
      jobs[id]!.isRemembered = true
      if job.kind != .organic { jobs[id] = nil }
      return "dropped"
    }
    change(id) { job in
      job.crashes = 0
      job.deadline = nil
      job.reply = []
    }
    if job.kind == .check { checks["bytes", default: 0] += job.kept ?? 0 }
    wait(id, at: now, checkWake: 0)
    return "retried"
  }

  mutating func pause(_ work: String, _ isPaused: Bool) -> Bool {
    if isPaused { return paused.insert(work).inserted }
    wakeOrganic = 0
    wakeDue = 0
    wakeCheck = 0
    return paused.remove(work) != nil
  }
}
