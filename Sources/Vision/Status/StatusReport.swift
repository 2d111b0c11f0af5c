import Common

/// What the pipeline looks like at one moment, read from Redis in a few calls.
struct StatusReport: Sendable {
  /// One open or just closed period.
  struct Period: Sendable {
    var id: PeriodID
    var record: PeriodRecord
  }

  /// One worker.
  struct Worker: Sendable {
    var id: String
    var fields: [String: String]
    /// Since its last heartbeat, ms.
    var beatAgeMilliseconds: Int
    /// Longest time without a try to claim before a worker counts as hanging, ms.
    static let claimAgeMaxMilliseconds = 15_000
    /// Whether it claims as it should.
    var isHealthy: Bool {
      (fields["claim_age_ms"].flatMap { Int($0) } ?? 0) + beatAgeMilliseconds
        <= Worker.claimAgeMaxMilliseconds
    }
  }

  var nowMilliseconds = 0
  var organicsWaiting = 0
  var synthetics = (due: 0, delayed: 0)
  var running = 0
  var dead = 0
  var ledgerLength = 0
  var paused: [String] = []
  var periods: [Period] = []
  var workers: [Worker] = []
  var leaders: [String: String] = [:]
  var checks: [String: String] = [:]
  var verdicts: [String: String] = [:]
  var weightsMeta: [String: String] = [:]
  var weightsCount = 0
  var redis: [String: String] = [:]
  /// What is wrong with how Redis is set, as the programs say when they start.
  var redisProblems: [String] = []

  /// Most workers that are read.
  static let workersMax = 1000

  @IO static func read(_ queue: JobQueue) async throws(RedisError) -> StatusReport {
    let keys = queue.keys
    var report = StatusReport()
    func count(_ words: String...) async throws(RedisError) -> Int {
      try await queue.redis.send(RedisCommand(words: words)).int ?? 0
    }
    func fields(_ key: Keys.Fixed) async throws(RedisError) -> [String: String] {
      try await queue.redis.send("HGETALL", keys.fixed(key)).fields ?? [:]
    }
    report.nowMilliseconds = try await queue.nowMilliseconds()
    let now = String(report.nowMilliseconds)
    report.organicsWaiting = try await count("ZCARD", keys.fixed(.organic))
    report.synthetics.due = try await count("ZCOUNT", keys.fixed(.due), "-inf", now)
    report.synthetics.delayed = try await count("ZCOUNT", keys.fixed(.due), "(" + now, "+inf")
    report.running = try await count("ZCARD", keys.fixed(.lease))
    report.dead = try await count("ZCARD", keys.fixed(.dead))
    report.ledgerLength = try await count("XLEN", keys.fixed(.ledger))
    let paused = try await queue.redis.send("SMEMBERS", keys.fixed(.paused))
    report.paused = (paused.elements ?? []).compactMap(\.text).sorted()
    for id in try await queue.openPeriods() {
      guard let record = try await queue.periodRecord(id) else { continue }
      report.periods.append(.init(id: id, record: record))
    }
    for role in ["producer", "aggregator"] {
      report.leaders[role] = try await queue.redis.send("GET", keys.leader(role)).text
    }
    report.workers = try await workers(queue, now: report.nowMilliseconds)
    report.checks = try await fields(.checks)
    report.verdicts = try await fields(.verdicts)
    report.weightsMeta = try await fields(.weightsMeta)
    report.weightsCount = try await count("HLEN", keys.fixed(.weights))
    report.take(try await RedisCheck.read(queue.redis))
    return report
  }

  @IO private static func workers(_ queue: JobQueue, now: Int) async throws(RedisError) -> [Worker] {
    let prefix = queue.keys.worker("")
    var cursor = "0"
    var found: Set<String> = []
    repeat {
      let reply = try await queue.redis.send("SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000")
      cursor = reply[0]?.text ?? "0"
      found.formUnion((reply[1]?.elements ?? []).compactMap(\.text))
    } while cursor != "0" && found.count < workersMax
    var workers: [Worker] = []
    for key in found.sorted() {
      guard let fields = try await queue.redis.send("HGETALL", key).fields, let beat = fields["beat"] else {
        continue
      }
      let age = now - (Int(beat) ?? now)
      workers.append(
        Worker(id: String(key.dropFirst(prefix.count)), fields: fields, beatAgeMilliseconds: age))
    }
    return workers
  }

  /// What the report shows of Redis.
  static let redisFields = [
    "redis_version", "used_memory", "maxmemory", "maxmemory_policy", "aof_enabled", "role",
    "uptime_in_seconds",
  ]

  mutating func take(_ check: RedisCheck) {
    redis = check.info.filter { StatusReport.redisFields.contains($0.key) }
    redis["clock_skew_ms"] = String(check.clockSkewMilliseconds)
    redisProblems = (check.refusal.map { [$0] } ?? []) + check.warnings
  }
}
