import Common

/// The aggregator: folds the ledger into scores, publishes each closed period's weights and sends them.
///
/// Any number may run. One has the role and folds; the others wait and take over when it is gone. State and
/// position in the ledger are saved in one step under the role's token, so that whenever a process ends,
/// the next one repeats nothing and skips nothing.
@IO
public final class AggregatorService {
  private let address: RedisAddress
  private let keys: Keys
  private let clock: Script.Clock
  private let options: AggregatorOptions
  private let log: Log
  private let sender: WeightsSender
  private var session: FoldSession?
  private var formerToken: String?
  /// Called at each step of a session's work; what it throws ends the service as a crash would.
  var onStep: (@IO (FoldStep) async throws -> Void)?
  /// Called when it was reported how sending went.
  var onStatus: (@IO (SendStatus) -> Void)?

  /// An aggregator of one shard.
  /// - Parameter clock: the clock of the scripts; tests have their own.
  public init(
    address: RedisAddress, keys: Keys, options: AggregatorOptions = .init(), log: Log = .shared,
    clock: Script.Clock = .redis
  ) {
    self.address = address
    self.keys = keys
    self.clock = clock
    self.options = options
    self.log = log
    sender = WeightsSender(options: options, log: log)
    sender.onStatus = { [weak self] status in await self?.write(status) }
  }

  /// Works until `stopping` fires; then saves, gives the role back and returns. While Redis is away it
  /// waits and tries again.
  /// - Throws: `AggregatorError` when the saved state cannot be used; nothing is changed then.
  public func run(until stopping: Signal) async throws {
    log.info("aggregator started", ["version": Version.current, "dry_run": options.isDryRun])
    var failures = 0
    while !stopping.isFired {
      let session = makeSession()
      do {
        if try await becomeLeader(session, stopping) { try await fold(session, stopping) }
        await session.giveRoleBack()
        session.end(RedisError(.closed, "the session is over"))
      } catch {
        sender.drop()
        let reason = session.endReason ?? error
        if error is AggregatorError { await session.giveRoleBack() }
        session.end(reason)
        guard error is RedisError || error is SessionEnd else { throw error }
        log.warning("reading the saved state anew", ["reason": LoggedError(reason)])
        failures = session.hasFolded ? 0 : failures + 1
        let wait = min(options.idleMilliseconds.first << min(failures, 10), 10 * options.renewMilliseconds)
        await pause(milliseconds: wait, stopping)
      }
    }
    await sender.finish()
    session = nil
    log.info("aggregator stopped")
  }

  private func makeSession() -> FoldSession {
    let session = FoldSession(
      address: address, keys: keys, clock: clock, options: options, log: log, sender: sender)
    session.onStep = onStep
    return session
  }

  /// Waits for the role. Returns false when it is time to stop instead.
  private func becomeLeader(_ session: FoldSession, _ stopping: Signal) async throws -> Bool {
    var isStandby = false
    while !stopping.isFired {
      if try await session.takeRole(from: formerToken) {
        formerToken = session.token
        self.session = session
        log.info("folding the ledger")
        return true
      }
      formerToken = nil
      if !isStandby { log.info("standing by: another aggregator has the role") }
      isStandby = true
      await pause(milliseconds: options.renewMilliseconds, stopping)
    }
    return false
  }

  private func fold(_ session: FoldSession, _ stopping: Signal) async throws {
    try await session.load()
    var idle = options.idleMilliseconds.first
    while !stopping.isFired {
      switch try await session.runOnce() {
      case .full: continue
      case .some: idle = options.idleMilliseconds.first
      case .none: idle = min(idle * 2, options.idleMilliseconds.longest)
      }
      await pause(milliseconds: min(idle, session.millisecondsToSave ?? idle), stopping)
    }
    try await session.saveRest()
    // What runs is waited for while the role is still ours: a successor would send the same again.
    await sender.finish()
  }

  /// Reports how sending went. Without a session the sender remembers it for the next one.
  private func write(_ status: SendStatus) async {
    defer { onStatus?(status) }
    guard let session, session.endReason == nil else { return }
    let fields = ["HSET", keys.fixed(.weightsMeta)] + status.fields
    do throws(RedisError) {
      _ = try await session.queue.redis.send(RedisCommand(words: fields))
    } catch {
      log.warning("cannot report how sending went", ["error": LoggedError(error)])
    }
  }

  private func pause(milliseconds: Int, _ stopping: Signal) async {
    let either = Signal()
    let timer = EventLoop.shared.after(milliseconds: milliseconds) { either.fire() }
    let watch = stopping.onFire { either.fire() }
    await either.wait()
    timer.cancel()
    stopping.forget(watch)
  }
}
