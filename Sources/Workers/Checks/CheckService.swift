import Common

/// The check lanes of a worker, one for each checking server that it was told of.
@IO
final class CheckService {
  /// The longest wait for checks to be handed back once they were interrupted, ms.
  static let handingBackMilliseconds = 5_000

  /// The lanes.
  let lanes: [CheckLane]
  private let clock: RedisClock
  private let ended = Signal()
  private var wake: (at: Int, timer: LoopTimer)?
  /// Called when a lane begins to wait for answers.
  var onIdle: () async -> Void = {}

  init(servers: [CheckServer], parts: CheckLane.Parts) {
    clock = parts.clock
    lanes = servers.map { CheckLane(server: $0, parts: parts) }
  }

  /// The servers that the settings name; none when this process is not to check.
  /// - Throws: `CheckServer.Invalid` when a server's URL cannot be used, or there is nothing to do.
  static func servers(_ settings: Settings) throws(CheckServer.Invalid) -> [CheckServer] {
    let servers = try CheckServer.list(settings.string("check-servers"))
    let lanes = settings.string("lanes")
    if lanes == "check", servers.isEmpty {
      throw CheckServer.Invalid(description: "lanes: 'check' needs check-servers")
    }
    return lanes == "query" ? [] : servers
  }

  /// What the settings say of the pace.
  static func limits(_ settings: Settings) -> CheckMachine.Limits {
    var limits = CheckMachine.Limits()
    limits.pollMilliseconds = settings.int("check-poll-ms")
    limits.busyMilliseconds = settings.int("check-busy-ms")
    limits.backoffMilliseconds = settings.int("check-backoff-ms")
    return limits
  }

  /// The marker lanes that these can act on.
  func markers() -> [Keys.Fixed] {
    lanes.contains { $0.isIdle && $0.isHolder } ? [.wakeCheck] : []
  }

  /// An answer may be checked from `at` (Unix ms, Redis's clock) on.
  func answerWaits(at: Int) {
    let wait = at - clock.nowMilliseconds
    guard wait > 0 else { return pokeAll() }
    if let wake, wake.at <= at { return }
    wake?.timer.cancel()
    let timer = EventLoop.shared.after(milliseconds: min(wait, CheckLane.idleMilliseconds)) { [weak self] in
      self?.wake = nil
      self?.pokeAll()
    }
    wake = (at, timer)
  }

  private func pokeAll() {
    for lane in lanes { lane.poke() }
  }

  /// Serves until `stopped` fires and no check runs any more.
  func run(until stopped: Signal) async {
    let running = lanes.map { lane in
      lane.onIdle = { [weak self] in await self?.onIdle() }
      return IO.task { @IO in await lane.run(until: stopped) }
    }
    for lane in running { await lane.value }
    wake?.timer.cancel()
    ended.fire()
  }

  /// Waits for the lanes' end, at most for the given time; then their checks are interrupted, whatever
  /// answer is still on its way.
  func drain(graceMilliseconds: Int) async {
    await Pause.wait(milliseconds: graceMilliseconds, orUntil: ended)
    guard !ended.isFired else { return }
    for lane in lanes { lane.interrupt() }
    await Pause.wait(milliseconds: CheckService.handingBackMilliseconds, orUntil: ended)
  }

  /// How long ago the lane that looked least recently did so, ms.
  func claimAgeMilliseconds(at now: Monotonic) -> Int {
    lanes.map { $0.claimAgeMilliseconds(at: now) }.max() ?? 0
  }

  /// Name and value pairs for the worker's record.
  func record() -> [String] {
    func sum(_ value: (CheckFigures) -> Int) -> String { String(lanes.reduce(0) { $0 + value($1.figures) }) }
    return [
      "servers", String(lanes.count), "servers_held", String(lanes.count { $0.isHolder }),
      "checks", sum(\.done), "checks_judged", sum(\.judged), "checks_unjudged", sum(\.unjudged),
      "checks_failed", sum(\.failed),
    ]
  }
}
