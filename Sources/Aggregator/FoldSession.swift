import Common
import Foundation

/// Points of a session's work at which tests look at it, or end it.
enum FoldStep: Sendable {
  /// The saved state was read.
  case loaded
  /// A page of the ledger was read, and is not folded.
  case read
  /// Entries were folded, and are not saved.
  case folded
  /// A closed period was exported, and is not published.
  case exported
  /// The state was saved, with what is published.
  case saved
}

/// The fold on one connection: from reading the saved state to the connection's end.
///
/// What is in memory is worth as much as the connection that it was read on. Redis may come back without
/// its last second, so nothing that was read before is ever saved after a reconnection: the client is
/// closed with its connection, and the next session begins with the saved state. Each session has a token
/// of its own, so that a command of an earlier one that arrives late is refused.
@IO
final class FoldSession {
  /// What one turn found.
  enum Turn {
    /// A full page: more waits.
    case full
    /// Some entries.
    case some
    /// Nothing new.
    case none
  }

  let queue: JobQueue
  /// Proof of the role: 128 random bits.
  let token: String
  /// Why the session ended; nil while it lives.
  private(set) var endReason: (any Error)?
  /// Whether a page of the ledger was read and folded.
  private(set) var hasFolded = false
  /// What stands beside the published weights.
  private(set) var record = WeightsRecord()
  /// Called at each step; what it throws ends the session as a crash would.
  var onStep: (@IO (FoldStep) async throws -> Void)?

  private let client: RedisClient
  private let options: AggregatorOptions
  private let log: Log
  private let sender: WeightsSender
  private var keeper = FoldKeeper()
  private var cursor = ""
  private var savedCursor = ""
  private var savedAt = Monotonic.now()
  private var saveCostMilliseconds = 0
  private var heartbeat: Task<Void, Never>?

  init(
    address: RedisAddress, keys: Keys, clock: Script.Clock, options: AggregatorOptions, log: Log,
    sender: WeightsSender
  ) {
    client = RedisClient(address: address, options: .init(name: "vision-aggregator"))
    queue = JobQueue(redis: client, keys: keys, clock: clock)
    // A repetition on another connection is what a session must not do.
    queue.patienceMilliseconds = 0
    token = (0..<2).map { _ in
      let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
    self.options = options
    self.log = log
    self.sender = sender
    client.onChange = { [weak self] isConnected in
      if !isConnected { self?.end(RedisError(.outcomeUnknown, "the connection to Redis ended")) }
    }
  }

  // MARK: role

  /// Takes the role if it is free. The token of this process's session before, if any, gives it up first.
  func takeRole(from former: String?) async throws -> Bool {
    if let former { _ = try await queue.lead(role: "aggregator", token: former, lifeMilliseconds: 0) }
    guard try await renew() else { return false }
    heartbeat = IO.task { @IO [weak self, options] in
      while !Task.isCancelled {
        await EventLoop.shared.sleep(milliseconds: options.renewMilliseconds)
        guard !Task.isCancelled, let self, self.endReason == nil else { return }
        do {
          if try await !self.renew() { self.end(SessionEnd.lostRole) }
        } catch { self.end(error) }
      }
    }
    return true
  }

  private func renew() async throws(RedisError) -> Bool {
    try await queue.lead(role: "aggregator", token: token, lifeMilliseconds: options.roleMilliseconds)
  }

  /// Gives the role back, so that a standby need not wait.
  func giveRoleBack() async {
    guard endReason == nil else { return }
    // A renewal that is on its way would take the role again.
    heartbeat?.cancel()
    await heartbeat?.value
    guard endReason == nil else { return }
    _ = try? await queue.lead(role: "aggregator", token: token, lifeMilliseconds: 0)
  }

  /// Ends the session: every command of it fails from now on.
  func end(_ reason: any Error) {
    guard endReason == nil else { return }
    endReason = reason
    heartbeat?.cancel()
    client.close()
  }

  // MARK: fold

  /// Reads the saved state, and the weights that were published and not sent.
  /// - Throws: `AggregatorError` when the state cannot be used; nothing is changed then.
  func load() async throws {
    if let saved = try await queue.savedFold() {
      keeper = try await FoldKeeper(saved: saved.state, cursor: saved.cursor)
      cursor = saved.cursor
    } else if try await queue.redis.send("EXISTS", queue.keys.fixed(.fold)).int != 0 {
      throw AggregatorError.unreadableState("it has no cursor or no content")
    }
    savedCursor = cursor
    let about = try await queue.redis.send("HGETALL", queue.keys.fixed(.weightsMeta)).fields ?? [:]
    record = WeightsRecord(about)
    sender.remember(SendStatus(about))
    if let unsent = try await unsentDocument() { sender.offer(unsent) }
    try await onStep?(.loaded)
  }

  /// Reads one page, folds it and saves what is due. A state is saved exactly after each `closed` entry,
  /// so that a result's range of the ledger is exact.
  func runOnce() async throws -> Turn {
    let page = try await queue.readLedger(after: cursor, limit: options.pageMax)
    try await onStep?(.read)
    var rest = page[...]
    while !rest.isEmpty {
      let part = try await keeper.fold(rest)
      note(part.unreadable)
      rest = rest.dropFirst(part.count)
      cursor = page[rest.startIndex - 1].id
      try await onStep?(.folded)
      if part.isEnd { try await save(part.closed) }
    }
    if millisecondsToSave == 0 { try await save(nil) }
    hasFolded = true
    return page.isEmpty ? .none : page.count < options.pageMax ? .some : .full
  }

  /// Saves what was folded since the last save, if anything.
  func saveRest() async throws {
    if cursor != savedCursor { try await save(nil) }
  }

  /// How long what was folded may still wait to be saved, in ms; nil when all is saved. A state of many
  /// megabytes takes its time, so it is saved less often.
  var millisecondsToSave: Int? {
    guard cursor != savedCursor else { return nil }
    let pause = max(options.saveMilliseconds, saveCostMilliseconds * 10)
    return max(0, pause - Monotonic.now().milliseconds(since: savedAt))
  }

  private func save(_ closed: ClosedPeriod?) async throws {
    let start = Monotonic.now()
    let state = try await keeper.encoded()
    let closed = try await export(closed, state: state)
    let next = try closed.map { try record.publishing($0, options: options, status: sender.status) }
    let result = try await queue.checkpoint(
      leader: token, from: savedCursor, to: cursor, state: state, publication: next?.publication)
    switch result {
    case .ok: break
    case .stale: throw SessionEnd.lostRole
    case .moved: throw SessionEnd.moved
    }
    savedCursor = cursor
    savedAt = Monotonic.now()
    saveCostMilliseconds = savedAt.milliseconds(since: start)
    log.debug(
      "state saved", ["cursor": cursor, "bytes": state.count, "took_ms": saveCostMilliseconds])
    if let next { record = next.record }
    try await onStep?(.saved)
    if let closed {
      announce(closed.result)
      if !options.isDryRun, let document = WeightsDocument(closed.result) { sender.offer(document) }
      try await trim(closed)
    }
  }

  /// Exports a closed period when that is wanted. What cannot be exported is published all the same: weights
  /// matter more than their proof.
  private func export(_ closed: ClosedPeriod?, state: [UInt8]) async throws -> ClosedPeriod? {
    record.exportError = ""
    guard let closed, let folder = options.exportDirectory else { return closed }
    let exporter = PeriodExporter(
      directory: folder, keptPeriods: options.exportKeptPeriods, queue: queue)
    do {
      let result = try await exporter.export(
        closed.result, state: state, from: record.lastClose.map(SegmentStart.after) ?? .beginning,
        stillLeads: { try await self.renew() })
      guard let result else { throw SessionEnd.lostRole }
      try await onStep?(.exported)
      return try await keeper.closed(closed, with: result)
    } catch let error as any CustomStringConvertible where error is AtomicFile.Failure || error is ExportError
    {
      record.exportError = String(error.description.prefix(500))
      log.error(
        "period not exported", ["period": closed.result.period.description, "reason": error.description])
      return closed
    }
  }

  private func trim(_ closed: ClosedPeriod) async throws {
    guard
      let first = record.trimmable(closed, keptPeriods: options.keptPeriods, savedCursor: savedCursor)
    else { return }
    let count = try await queue.trimLedger(before: first.description)
    if count > 0 { log.info("old ledger entries dropped", ["before": first.description, "entries": count]) }
  }

  private func note(_ unreadable: [String]) {
    record.unreadable += unreadable.count
    for id in unreadable { log.warning("ledger entry not understood", ["id": id]) }
  }

  private func announce(_ result: PeriodResult) {
    let balance = result.balance
    log.info(
      "period closed",
      [
        "period": result.period.description, "profile": result.profile, "planned": balance.planned,
        "done": balance.done, "failed": balance.failed, "skipped": balance.skipped,
        "expired": balance.expired, "dead": balance.dead, "missing": balance.missing,
      ])
    switch result.outcome {
    case .nothing(let reason):
      log.warning(
        "no weights are set, the ones before stay",
        ["period": result.period.description, "reason": reason])
    case .weights(let weights) where options.isDryRun:
      log.info(
        "dry run: weights computed, nothing is published or sent",
        ["period": result.period.description, "miners": weights.count])
    case .weights(let weights):
      log.info("weights published", ["period": result.period.description, "miners": weights.count])
    }
  }

  // MARK: unsent weights

  /// How many results are looked through for the weights that are published now. Periods without weights
  /// stand before them.
  private static let resultsLookedThrough = 48

  /// The published weights, if nobody reported having sent them.
  private func unsentDocument() async throws -> WeightsDocument? {
    guard sender.hasTargets, let period = record.weightsPeriod, sender.status.sentPeriod != period else {
      return nil
    }
    for index in 0..<Self.resultsLookedThrough {
      let reply = try await queue.redis.send(
        "LINDEX", queue.keys.fixed(.weightsHistory), String(index))
      guard let json = reply.data else { break }
      guard let result = await Self.decode(json), result.period == period else { continue }
      return WeightsDocument(result)
    }
    log.warning("the published weights are not among the kept results", ["period": period.description])
    return nil
  }

  /// Off the loop: a result can be large.
  @concurrent private static func decode(_ json: [UInt8]) async -> PeriodResult? {
    try? JSONDecoder().decode(PeriodResult.self, from: Data(json))
  }
}
