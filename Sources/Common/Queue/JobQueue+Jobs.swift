/// One attempt, as it is written with the end of its job.
public struct SettledAttempt: Sendable {
  /// The ledger entry.
  public var entry: AttemptEntry
  /// The miner's index in the period's roster.
  public var miner: Int

  /// Pairs an entry with its miner's index.
  public init(entry: AttemptEntry, miner: Int) {
    self.entry = entry
    self.miner = miner
  }
}

/// An answer that is offered for checking.
public struct Sample: Sendable {
  /// The most answers of the task that may wait.
  public var waitingMax: Int
  /// The most bytes of all waiting answers together.
  public var bytesMax: Int
  /// What the checking server is to see.
  public var answer: [UInt8]

  /// Offers an answer.
  public init(waitingMax: Int, bytesMax: Int, answer: [UInt8]) {
    self.waitingMax = waitingMax
    self.bytesMax = bytesMax
    self.answer = answer
  }
}

/// The end of one job. An object: it goes through several lists on its way, and has many parts.
public final class Settlement: Sendable {
  /// How a job ended.
  public enum State: String, Sendable {
    /// With a good answer.
    case done
    /// Without one.
    case failed
    /// In mid-answer.
    case interrupted
  }

  /// The job's id.
  public let id: String
  /// Proof of the lease.
  public let token: String
  /// How it ended.
  public let state: State
  /// What was tried, in order.
  public let attempts: [SettledAttempt]
  /// The answer, when it is offered for checking.
  public let sample: Sample?
  /// The fields of the reply's last entry; empty for a synthetic.
  public let last: [(String, String)]

  /// Describes the end of a job.
  public init(
    id: String, token: String, state: State, attempts: [SettledAttempt], sample: Sample? = nil,
    last: [(String, String)] = []
  ) {
    self.id = id
    self.token = token
    self.state = state
    self.attempts = attempts
    self.sample = sample
    self.last = last
  }
}

/// What became of an operation on a job that needs its lease.
public enum LeaseResult: String, Sendable {
  /// Done.
  case ok
  /// The lease was lost: somebody else has the job, or it ended.
  case lost
  /// The user cancelled the job.
  case cancelled
  /// The reply is at its cap: the writer's own verdict.
  case tooLarge = "too_large"
  /// The job has content and cannot be run again.
  case hasContent = "has_content"
}

/// How far a reply has come.
public struct ReplyPosition: Equatable, Sendable {
  /// Entries of the stream.
  public var pieces = 0
  /// Bytes in them.
  public var bytes = 0
  /// Tokens of the answer: they count as used should the worker die.
  public var tokens = 0

  /// A position; the beginning by default.
  public init(pieces: Int = 0, bytes: Int = 0, tokens: Int = 0) {
    self.pieces = pieces
    self.bytes = bytes
    self.tokens = tokens
  }

  /// The position behind one more piece, after which the answer has `tokens`.
  public func after(bytes more: Int, tokens: Int) -> ReplyPosition {
    ReplyPosition(pieces: pieces + 1, bytes: bytes + more, tokens: max(tokens, self.tokens))
  }
}

/// A piece of an answer, and where in its reply it belongs.
public struct ReplyPiece: Sendable {
  /// The job's id.
  public var id: String
  /// Proof of the lease; not needed of a trusted piece.
  public var token: String
  /// Whether a piece of the reply was written in the generation of the fence, so that this one is not looked at.
  public var isTrusted: Bool
  /// How far the reply has come with the piece.
  public var end: ReplyPosition
  /// The bytes of the stream's entry.
  public var data: [UInt8]

  /// Puts a piece in front of `end`.
  public init(id: String, token: String, isTrusted: Bool = false, end: ReplyPosition, data: [UInt8]) {
    self.id = id
    self.token = token
    self.isTrusted = isTrusted
    self.end = end
    self.data = data
  }
}

extension JobQueue {
  /// What most settlements take in a command, without an answer.
  private static let settlementBytes = 400

  /// Leases waiting jobs. A repeat with the same `request` returns what the first call granted.
  /// - Parameters:
  ///   - request: a number that grows with each claim of the series.
  ///   - series: who of the worker counts, when several of its connections claim.
  ///   - nonce: fresh randomness from the system's generator for each request.
  ///   - organicMax: the most jobs in all, of either kind.
  ///   - syntheticMax: the most synthetics among them.
  public func claim(
    worker: String, request: Int, series: String = "", nonce: String, organicMax: Int, syntheticMax: Int,
    organicLeaseMilliseconds: Int, syntheticLeaseMilliseconds: Int, keptForSynthetics: Int = 0
  ) async throws(RedisError) -> ClaimResult {
    let reply = try await run(.claim) { command in
      command.add(worker)
      command.add(request)
      command.add(nonce)
      command.add(organicMax)
      command.add(syntheticMax)
      command.add(organicLeaseMilliseconds)
      command.add(syntheticLeaseMilliseconds)
      command.add(keptForSynthetics)
      command.add(series)
    }
    guard let items = reply.elements, items.count >= 4, let now = items[0].int, let next = items[1].int,
      let organics = items[3].int, let grants = Grant.read(items[4...], organics: organics)
    else { throw unexpected(.claim, reply) }
    return ClaimResult(
      nowMilliseconds: now, nextDueMilliseconds: next < 0 ? nil : next, organicsWait: items[2].int == 1,
      grants: grants)
  }

  /// Ends jobs (50 at most), each all or nothing.
  public func settle(_ settlements: [Settlement]) async throws(RedisError) -> [LeaseResult] {
    precondition(settlements.count <= 50)
    let size = settlements.reduce(0) { $0 + JobQueue.settlementBytes + ($1.sample?.answer.count ?? 0) }
    let reply = try await run(.settle, bytes: size) { command in
      command.add(settlements.count)
      for settlement in settlements { command.add(settlement) }
    }
    guard let exceptions = exceptions(reply, count: settlements.count) else {
      throw unexpected(.settle, reply)
    }
    return settlements.indices.map { exceptions[$0] ?? .ok }
  }

  /// Appends pieces to replies (1,000 at most; those of one reply in order). A repeat writes nothing twice.
  public func append(_ pieces: [ReplyPiece], _ step: AppendFence.Step) async throws(RedisError)
    -> AppendResult
  {
    precondition(pieces.count <= 1_000)
    let size = pieces.reduce(0) { $0 + $1.data.count + 192 }
    let reply = try await run(.append, bytes: size) { command in
      command.add(step)
      for piece in pieces { command.add(piece, isTrusted: piece.isTrusted && !step.opens) }
    }
    if reply.text == "closed" { return .closed }
    guard let refused = exceptions(reply, count: pieces.count) else { throw unexpected(.append, reply) }
    return .written(refused: refused)
  }

  /// What became of the items that a script names by their places (from 1): those for which it is not `ok`.
  private func exceptions(_ reply: RedisReply, count: Int) -> [Int: LeaseResult]? {
    guard let items = reply.elements, items.count % 2 == 0 else { return nil }
    var result: [Int: LeaseResult] = [:]
    for index in stride(from: 0, to: items.count, by: 2) {
      guard let position = items[index].int, position >= 1, position <= count,
        let reason = items[index + 1].text.flatMap(LeaseResult.init(rawValue:))
      else { return nil }
      result[position - 1] = reason
    }
    return result
  }

  /// Sends a worker's heartbeat and renews its leases (200 at most).
  /// - Returns: Redis's time and the jobs that are no longer the worker's.
  public func renew(
    worker: String, lifeMilliseconds: Int, record: [String],
    jobs: [(id: String, token: String, leaseMilliseconds: Int)]
  ) async throws(RedisError) -> (nowMilliseconds: Int, ended: [String: LeaseResult]) {
    precondition(jobs.count <= 200)
    let reply = try await run(.renew) { command in
      command.add(worker)
      command.add(lifeMilliseconds)
      command.add(list: record)
      command.add(jobs.count)
      for job in jobs {
        command.add(job.id)
        command.add(job.token)
        command.add(job.leaseMilliseconds)
      }
    }
    guard let items = reply.elements, items.count % 2 == 1, let now = items[0].int else {
      throw unexpected(.renew, reply)
    }
    var ended: [String: LeaseResult] = [:]
    for index in stride(from: 1, to: items.count, by: 2) {
      guard let id = items[index].text else { throw unexpected(.renew, reply) }
      ended[id] = items[index + 1].text.flatMap(LeaseResult.init(rawValue:)) ?? .lost
    }
    return (now, ended)
  }

  /// Hands jobs back (100 at most) to run again at `earliestMilliseconds` (Unix ms) or later.
  public func release(
    _ jobs: [(id: String, token: String, earliestMilliseconds: Int)]
  ) async throws(RedisError) -> [LeaseResult] {
    precondition(jobs.count <= 100)
    let reply = try await run(.release) { command in
      command.add(jobs.count)
      for job in jobs {
        command.add(job.id)
        command.add(job.token)
        command.add(job.earliestMilliseconds)
      }
    }
    return try results(.release, reply, count: jobs.count)
  }

  /// What one recovery pass did.
  public struct Recovery: Sendable, Equatable {
    /// Jobs that wait again.
    public var takenBack: Int
    /// Jobs that were given up.
    public var dead: Int
    /// Organics that ended in mid-answer.
    public var interrupted: Int
    /// Whether another pass should follow at once.
    public var isPartial: Bool
  }

  /// Takes back jobs whose lease ran out; nil when another pass was less than `pauseMilliseconds` ago.
  public func recover(
    pauseMilliseconds: Int = 1_000, limit: Int = 100
  ) async throws(RedisError) -> Recovery? {
    let reply = try await run(.recover) { command in
      command.add(pauseMilliseconds)
      command.add(limit)
    }
    guard let numbers = reply.elements?.compactMap(\.int) else { throw unexpected(.recover, reply) }
    guard numbers.count == 4 else { return nil }
    return Recovery(
      takenBack: numbers[0], dead: numbers[1], interrupted: numbers[2], isPartial: numbers[3] == 1)
  }

  /// Ends organic jobs whose deadline passed while they waited. Returns how many.
  public func expire(limit: Int = 100) async throws(RedisError) -> Int {
    let reply = try await run(.expire) { $0.add(limit) }
    guard let count = reply.int else { throw unexpected(.expire, reply) }
    return count
  }

  /// Pauses (or resumes) `organic`, `synthetic`, `check` or `intake`. Returns whether that changed anything.
  public func pause(_ work: String, _ isPaused: Bool) async throws(RedisError) -> Bool {
    let reply = try await run(.pause) { command in
      command.add(work)
      command.add(isPaused ? 1 : 0)
    }
    return reply.int == 1
  }

  /// Wakes a worker's own listener, which shall wait for other lanes.
  public func nudge(worker: String) async throws(RedisError) {
    _ = try await run(.nudge) { $0.add(worker) }
  }

  /// Gives a dead job another life (`retry`) or forgets it (`drop`).
  /// Returns `retried`, `dropped`, `unknown` or `too_late`.
  public func revive(id: String, _ what: String) async throws(RedisError) -> String {
    let reply = try await run(.revive) { command in
      command.add(id)
      command.add(what)
    }
    guard let text = reply.text else { throw unexpected(.revive, reply) }
    return text
  }

  private func results(
    _ script: Script, _ reply: RedisReply, count: Int
  ) throws(RedisError) -> [LeaseResult] {
    let words = (reply.elements ?? []).compactMap { $0.text.flatMap(LeaseResult.init(rawValue:)) }
    guard words.count == count else { throw unexpected(script, reply) }
    return words
  }
}

extension RedisCommand {
  fileprivate mutating func add(_ piece: ReplyPiece, isTrusted: Bool) {
    add(piece.id)
    add(isTrusted ? "" : piece.token)
    add(piece.end.pieces)
    add(piece.end.bytes)
    add(piece.end.tokens)
    add(piece.data)
  }
}

extension RedisCommand: FieldSink {
  fileprivate mutating func add(_ settlement: Settlement) {
    add(settlement.id)
    add(settlement.token)
    add(settlement.state.rawValue)
    add(settlement.attempts.count)
    for attempt in settlement.attempts {
      add(LedgerCodec.attemptFields.count)
      LedgerCodec.write(attempt.entry, miner: attempt.miner, to: &self)
    }
    if let sample = settlement.sample, let last = settlement.attempts.last {
      add(6)
      // One attempt has one token, so its check has one name.
      add("c:" + settlement.token)
      add(last.entry.task)
      add(last.entry.hotkey)
      add(sample.waitingMax)
      add(sample.bytesMax)
      add(sample.answer)
    } else {
      add(0)
    }
    add(settlement.last.count * 2)
    for (name, value) in settlement.last {
      add(name)
      add(value)
    }
  }
}
