/// One look at the whole queue. ``Fsck`` says what holds.
@IO
final class FsckPass {
  let queue: JobQueue
  let keys: Keys
  var report = FsckReport()
  /// Queries that are due or running, by period.
  var inFlight: [PeriodID: Int] = [:]
  /// What the ledger says of the periods whose beginning it still holds.
  var tallies: [PeriodID: FsckTally] = [:]
  /// Periods that have a record.
  var periods: Set<PeriodID> = []
  private var lanes: Set<String> = []
  private var laneCounts: [String: Int] = [:]
  private var answerBytes = 0
  private var deadBytes = 0
  private static let page = 100

  init(_ queue: JobQueue) {
    self.queue = queue
    keys = queue.keys
  }

  // MARK: places

  /// Every member of every place, with its job.
  func walkPlaces() async throws(RedisError) {
    for place in [Keys.Fixed.organic, .organicDeadline, .due, .lease, .dead] {
      try await walk(keys.fixed(place)) { job in
        self.report.count(place.rawValue)
        self.tally(job, in: place)
      }
    }
  }

  private func tally(_ job: FsckJob, in place: Keys.Fixed) {
    if place == .due || place == .lease, let planned = SyntheticJob(id: job.id) {
      inFlight[planned.period, default: 0] += 1
      tallies[planned.period]?.stand(planned)
    }
    if place == .lease, job.kind == .check { answerBytes += job.size }
    if place == .dead { deadBytes += job.kept }
  }

  private func walk(_ key: String, _ body: (FsckJob) -> Void) async throws(RedisError) {
    var start = 0
    while true {
      let reply = try await queue.redis.send(
        "ZRANGE", key, String(start), String(start + FsckPass.page - 1))
      let ids = (reply.elements ?? []).compactMap(\.text)
      if ids.isEmpty { return }
      for job in try await queue.inspect(ids[...]) {
        job.check(&report)
        body(job)
      }
      start += FsckPass.page
    }
  }

  // MARK: keys

  /// Every key of the shard: what no place names must be remembered for a while only.
  func walkKeys() async throws(RedisError) {
    var cursor = "0"
    repeat {
      let reply = try await queue.redis.send(
        "SCAN", cursor, "MATCH", keys.prefix + "*", "COUNT", "500")
      guard let items = reply.elements, items.count == 2, let next = items[0].text else {
        throw RedisError(.unexpectedReply, "SCAN answered \(reply)")
      }
      cursor = next
      try await check((items[1].elements ?? []).compactMap(\.text))
    } while cursor != "0"
    for task in lanes {
      try await walk(keys.check(task)) { job in
        self.report.count("check")
        if job.type == "none" { self.report.add(.noRecord, job: job.id, "waits to be checked") }
        self.laneCounts[task, default: 0] += 1
        self.answerBytes += job.size
      }
    }
  }

  private func check(_ found: [String]) async throws(RedisError) {
    var ids: Set<String> = []
    for key in found {
      let name = key.dropFirst(keys.prefix.count)
      let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "job", "payload", "answer": ids.insert(parts[1])
      case "reply":
        ids.insert(parts[1])
        try await checkReply(parts[1])
      case "check": if try await isSound(key, String(name), "zset") { lanes.insert(parts[1]) }
      case "period":
        guard let period = PeriodID(parts[1]), try await isSound(key, String(name), "hash") else { continue }
        periods.insert(period)
      case "fence":
        report.workers.append(parts[1])
        try await checkLife(key, String(name), seconds: 3_600)
      case "worker", "leader": try await checkLife(key, String(name), seconds: 30)
      case "wake" where parts[1].hasPrefix("worker:"): try await checkLife(key, String(name), seconds: 60)
      default: break
      }
    }
    let sorted = ids.sorted()
    for start in stride(from: 0, to: sorted.count, by: FsckPass.page) {
      for job in try await queue.inspect(sorted[start..<min(start + FsckPass.page, sorted.count)]) {
        // Those that stand in a place were checked there.
        if job.places.isEmpty { job.check(&report) }
        if job.type == "hash" { report.count("records") }
      }
    }
  }

  private func checkLife(_ key: String, _ name: String, seconds: Int) async throws(RedisError) {
    if try await queue.redis.send("PTTL", key).int == -1 {
      report.add(.lifetime, name, "will stay for ever", .life(name, seconds: seconds))
    }
  }

  /// Whether every key that has one type only is of it.
  func areTypesSound() async throws(RedisError) -> Bool {
    for key in Keys.Fixed.allCases {
      let type = try await queue.redis.send("TYPE", keys.fixed(key)).text ?? "none"
      if type != "none", type != key.type {
        report.add(.damaged, key.rawValue, "is a \(type)", .aside(key.rawValue))
      }
    }
    return report.isClean
  }

  /// Whether a key with a name of its own is of the type that it must be.
  private func isSound(_ key: String, _ name: String, _ expected: String) async throws(RedisError) -> Bool {
    let type = try await queue.redis.send("TYPE", key).text ?? "none"
    if type == expected || type == "none" { return true }
    report.add(.damaged, name, "is a \(type)", .aside(name))
    return false
  }

  /// Most entries that break a reply and are told at once.
  private static let straysMax = 100

  /// A reply has one terminal entry, the last one, and its pieces are numbered from 1 without a gap.
  private func checkReply(_ id: String) async throws(RedisError) {
    report.count("replies")
    var start = "-"
    var (pieces, ends) = (0, 0)
    var strays: [String] = []
    var (problem, hasGap) = ("", false)
    while true {
      let page: RedisReply
      do throws(RedisError) {
        page = try await queue.redis.send("XRANGE", keys.reply(id), start, "+", "COUNT", "200")
      } catch {
        guard error.code == .server else { throw error }
        return report.add(.damaged, job: id, "its reply is no stream")
      }
      let entries = page.elements ?? []
      if entries.isEmpty { break }
      for entry in entries {
        guard let pair = entry.elements, pair.count == 2, let fields = pair[1].fields,
          let entryID = pair[0].text
        else { continue }
        start = "(" + entryID
        if ends == 0, fields["end"] != nil {
          ends += 1
        } else if ends == 0, fields["n"] == String(pieces + 1) {
          pieces += 1
        } else {
          let what = "piece \(fields["n"] ?? "") in place of \(pieces + 1)"
          if ends == 0, (fields["n"].flatMap(Int.init) ?? 0) > pieces + 1 { hasGap = true }
          if problem.isEmpty { problem = ends > 0 ? "goes on after its end" : what }
          if strays.count < FsckPass.straysMax { strays.append(entryID) }
        }
      }
    }
    if !strays.isEmpty { report.add(.reply, id, problem, .reply(id, strays: strays, hasGap: hasGap)) }
    if ends > 0 { try await checkLife(keys.reply(id), "reply:" + id, seconds: 3_600) }
  }

  // MARK: counters

  func checkCounters() async throws(RedisError) {
    let reply = try await queue.redis.send("HGETALL", keys.fixed(.checks))
    let counters = reply.fields ?? [:]
    expect("checks bytes", counters["bytes"].flatMap(Int.init) ?? 0, answerBytes) {
      .count(.checks, "bytes", by: $0)
    }
    let waiting = counters.keys.filter { $0.hasPrefix("waiting:") }.map { String($0.dropFirst(8)) }
    for task in lanes.union(waiting).sorted() {
      let counted = counters["waiting:" + task].flatMap(Int.init) ?? 0
      expect("checks waiting:" + task, counted, laneCounts[task] ?? 0) {
        .count(.checks, "waiting:" + task, by: $0)
      }
    }
    let kept = try await queue.redis.send("GET", keys.fixed(.deadBytes))
    expect("dead:bytes", kept.int ?? 0, deadBytes) { .count(.deadBytes, "", by: $0) }
  }

  /// The difference is told, not the numbers: on a live queue it stays the same when it is real.
  /// - Parameter mend: what repairs it, given what is to be added.
  func expect(
    _ name: String, _ counted: Int, _ found: Int, _ kind: FsckReport.Kind = .counter,
    _ mend: (Int) -> FsckMend
  ) {
    if counted != found { report.add(kind, name, "off by \(counted - found)", mend(found - counted)) }
  }
}
