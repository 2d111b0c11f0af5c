/// The plan that Redis holds for a period: the first one stored.
public struct StoredPlan: Sendable {
  /// Whether this call stored it.
  public var isNew: Bool
  /// The snapshot, as JSON.
  public var snapshot: [UInt8]
  /// The seed of the plan's randomness.
  public var seed: UInt64
}

/// The moving part of a period's record.
public struct PeriodRecord: Sendable, Equatable {
  /// `planning`, `open` or `closed`.
  public var state: String
  /// First and end millisecond, Unix time.
  public var startMilliseconds: Int
  /// The first millisecond after the period.
  public var endMilliseconds: Int
  /// Queries planned, and those among them that are scheduled.
  public var planned: Int
  /// Queries put into the queue so far.
  public var scheduled: Int
  /// The next chunk of the plan.
  public var nextChunk: Int
  /// Queries settled, by how: `done`, `failed`, `skipped`, `expired`, `dead`.
  public var settled: [String: Int]

  /// The ways in which a planned query is settled.
  public static let settledNames = ["done", "failed", "skipped", "expired", "dead"]

  /// Queries settled in all.
  public var settledCount: Int { settled.values.reduce(0, +) }
}

extension JobQueue {
  /// Takes or keeps a single role for `lifeMilliseconds`; 0 gives it back. Returns whether it is held.
  public func lead(
    role: String, token: String, lifeMilliseconds: Int
  ) async throws(RedisError) -> Bool {
    let reply = try await run(.lead) { command in
      command.add(role)
      command.add(token)
      command.add(lifeMilliseconds)
    }
    return reply.int == 1
  }

  /// Stores what a period is planned from; the first stored plan wins. nil without the producer's role.
  public func openPeriod(
    leader: String, snapshot: PeriodSnapshot, encoded: [UInt8], seed: UInt64, pacePerSecond: Double,
    burst: Double
  ) async throws(RedisError) -> StoredPlan? {
    let reply = try await run(.openPeriod) { command in
      command.add(leader)
      command.add(snapshot.id.description)
      command.add(snapshot.startMilliseconds)
      command.add(snapshot.endMilliseconds)
      command.add(snapshot.plannedCount)
      command.add(encoded)
      command.add(String(seed))
      command.add(String(pacePerSecond))
      command.add(String(burst))
    }
    guard let items = reply.elements, let word = items.first?.text else {
      throw unexpected(.openPeriod, reply)
    }
    if word == "stale" { return nil }
    guard items.count == 3, let stored = items[1].data, let text = items[2].text, let seed = UInt64(text)
    else { throw unexpected(.openPeriod, reply) }
    return StoredPlan(isNew: word == "stored", snapshot: stored, seed: seed)
  }

  /// What became of a chunk.
  public enum ScheduleResult: Sendable, Equatable {
    /// The number of the chunk to send next.
    case next(Int)
    /// The producer's role is held by somebody else.
    case stale
    /// No such period.
    case unknown
  }

  /// Adds one chunk of a plan: at most 100 volumes (thousandths, by field) and 100 jobs with their due times
  /// (Unix ms), earliest first.
  public func schedule(
    leader: String, period: PeriodID, chunk: Int, isLast: Bool, volumes: [(String, Int)],
    jobs: [(dueMilliseconds: Int, id: String)]
  ) async throws(RedisError) -> ScheduleResult {
    precondition(volumes.count <= 100 && jobs.count <= 100)
    let reply = try await run(.schedule) { command in
      command.add(leader)
      command.add(period.description)
      command.add(chunk)
      command.add(isLast ? 1 : 0)
      command.add(volumes.count * 2)
      for (field, value) in volumes {
        command.add(field)
        command.add(value)
      }
      command.add(jobs.count * 2)
      for job in jobs {
        command.add(job.dueMilliseconds)
        command.add(job.id)
      }
    }
    switch reply.elements?.first?.text {
    case "stale": return .stale
    case "unknown": return .unknown
    case "ok": if let next = reply.elements?.last?.int { return .next(next) }
    default: break
    }
    throw unexpected(.schedule, reply)
  }

  /// Settles up to 100 unsent queries of a period that ended. Returns how many; nil without the role.
  public func sweep(
    leader: String, period: PeriodID, limit: Int = 100
  ) async throws(RedisError) -> Int? {
    let reply = try await run(.sweep) { command in
      command.add(leader)
      command.add(period.description)
      command.add(limit)
    }
    guard let count = reply.int else { throw unexpected(.sweep, reply) }
    return count == -1 ? nil : max(0, count)
  }

  /// What became of closing a period.
  public enum CloseResult: Sendable, Equatable {
    /// It is closed.
    case closed
    /// So many queries are unsettled.
    case open(unsettled: Int)
    /// The producer's role is held by somebody else.
    case stale
    /// No such period.
    case unknown
  }

  /// Closes a period; with unsettled queries only when `isForced`.
  public func closePeriod(
    leader: String, period: PeriodID, isForced: Bool, keepSeconds: Int
  ) async throws(RedisError) -> CloseResult {
    let reply = try await run(.closePeriod) { command in
      command.add(leader)
      command.add(period.description)
      command.add(isForced ? 1 : 0)
      command.add(keepSeconds)
    }
    switch reply.elements?.first?.text {
    case "closed": return .closed
    case "stale": return .stale
    case "unknown": return .unknown
    case "open": return .open(unsettled: reply.elements?.last?.int ?? 0)
    default: throw unexpected(.closePeriod, reply)
    }
  }

  /// Marks miners (by index, 100 at most) as no longer to be queried in a period.
  public func deregister(
    leader: String, period: PeriodID, miners: [Int]
  ) async throws(RedisError) -> Int? {
    let reply = try await run(.deregister) { command in
      command.add(leader)
      command.add(period.description)
      command.add(list: miners.map(String.init))
    }
    guard let count = reply.int else { throw unexpected(.deregister, reply) }
    return count < 0 ? nil : count
  }

  /// Periods that are not closed, earliest first.
  public func openPeriods() async throws(RedisError) -> [PeriodID] {
    let reply = try await redis.send("ZRANGE", keys.fixed(.periods), "0", "-1")
    return (reply.elements ?? []).compactMap { $0.text.flatMap { PeriodID($0) } }
  }

  /// The moving part of a period's record; nil when it is unknown.
  public func periodRecord(_ period: PeriodID) async throws(RedisError) -> PeriodRecord? {
    let names = ["state", "start", "end", "planned", "scheduled", "next"] + PeriodRecord.settledNames
    let reply = try await redis.send(RedisCommand(words: ["HMGET", keys.period(period)] + names))
    guard let items = reply.elements, items.count == names.count, let state = items[0].text else {
      return nil
    }
    let numbers = items.map { $0.int ?? 0 }
    return PeriodRecord(
      state: state, startMilliseconds: numbers[1], endMilliseconds: numbers[2], planned: numbers[3],
      scheduled: numbers[4], nextChunk: numbers[5],
      settled: Dictionary(uniqueKeysWithValues: zip(PeriodRecord.settledNames, numbers[6...])))
  }

  /// A period's snapshot, as JSON, and its seed; nil when it is unknown.
  public func storedPlan(_ period: PeriodID) async throws(RedisError) -> StoredPlan? {
    let reply = try await read("HMGET", keys.period(period), "snapshot", "seed")
    guard let items = reply.elements, items.count == 2, let snapshot = items[0].data,
      let seed = items[1].text.flatMap(UInt64.init)
    else { return nil }
    return StoredPlan(isNew: false, snapshot: snapshot, seed: seed)
  }

  /// Redis's clock, Unix ms.
  public func nowMilliseconds() async throws(RedisError) -> Int {
    if clock == .testKey {
      return try await redis.send("GET", keys.fixed(.testClock)).int ?? 0
    }
    let reply = try await redis.send("TIME")
    guard let parts = reply.elements?.compactMap(\.int), parts.count == 2 else {
      throw RedisError(.unexpectedReply, "TIME answered \(reply)")
    }
    return parts[0] * 1000 + parts[1] / 1000
  }
}
