import Common
import Glibc

/// A worker that dies between any two of its calls to Redis.
enum KillPoints {
  /// One moment: right before Redis gets a command of this kind, or right after it did it.
  private struct Point: Hashable {
    var kind: String
    var isAfter: Bool
    var name: String { (isAfter ? "after " : "before ") + kind }
  }

  static let atCalls = ChaosCase(
    name: "kill-at-calls", number: 2,
    about: "SIGKILL before and after each kind of call to Redis, 3 times each; --times 20 for more",
    seconds: 420, run: run)

  /// Victims that live at once.
  private static let atOnce = 4
  /// Lives that are tried for one moment.
  private static let livesMax = 4
  /// The same for a call that comes only when a worker stops: it may just then hold nothing to hand back.
  private static let shortLivesMax = 12
  /// Calls that come only when a worker stops.
  private static let lastCalls: Set<String> = ["release", "DEL"]

  @IO private static func run(_ stage: Stage) async throws {
    try await stage.startRedis()
    let times = stage.parameters.times ?? 3
    let miner = try await stage.startMiner(tokens: 6, perSecond: 30)
    // Whoever survives finishes what the dead leave behind.
    var survivor = settings(nil)
    survivor.slots = 32
    let survivors = [try await stage.startWorker(survivor)]
    var plan = Stage.Plan(miners: [miner, miner], queries: 400 + times * 1_600)
    plan.dueMilliseconds = { 500 + $0 * 25 }
    try await stage.open(plan)
    let users = try stage.users()
    users.begin(perSecond: 15)
    let kinds = try await kindsOfCalls(stage)
    var points: [Point] = []
    for kind in kinds.keys.sorted() {
      for isAfter in [false, true] {
        points += Array(repeating: Point(kind: kind, isAfter: isAfter), count: times)
      }
    }
    points.shuffle(using: &stage.random)
    let died = try await liveAndDie(stage, points, kinds)
    // Three deaths with the same job are rare by chance, and then it is given up, as promised.
    var expected = Stage.Expectations(ends: ["done", "interrupted", "dead"])
    expected.leavesPlan = true
    let judge = try await stage.conclude(stopping: survivors, expected)
    stage.show("kinds of calls", kinds.count, "", .atLeast(10))
    let missing = Set(points).filter { died[$0, default: 0] < times }
    stage.show("moments at which a worker died", died.count)
    stage.show("deaths", died.values.reduce(0, +))
    stage.show("moments that were missed", missing.count, "", .exactly(0))
    stage.show("miners asked again", judge.reruns)
    if !missing.isEmpty {
      Chaos.complain("missed: " + missing.map(\.name).sorted().joined(separator: ", ") + "\n")
    }
  }

  /// One life for each of these moments, a few at once. Returns how many died where they should.
  @IO private static func liveAndDie(
    _ stage: Stage, _ points: [Point], _ kinds: [String: Int]
  ) async throws -> [Point: Int] {
    var died: [Point: Int] = [:]
    var rest = points[...]
    let runners = (0..<atOnce).map { _ in
      IO.task { @IO in
        while let point = rest.popFirst() {
          // A life may hold no such call: a worker that stops without a job has none to hand back.
          for _ in 0..<(lastCalls.contains(point.kind) ? shortLivesMax : livesMax) {
            // Not always the first call of its kind, where there are many in a life.
            let number = kinds[point.kind, default: 0] > 6 ? 1 + stage.random.below(2) : 1
            guard try await life(stage, point, at: number) else { continue }
            died[point, default: 0] += 1
            break
          }
        }
      }
    }
    for runner in runners { try await runner.value }
    return died
  }

  private static func settings(_ url: String?) -> Stage.WorkerSettings {
    var settings = Stage.WorkerSettings()
    settings.slots = 6
    settings.graceMilliseconds = 0
    settings.organicLeaseMilliseconds = 1_000
    settings.syntheticLeaseMilliseconds = 1_000
    settings.url = url
    return settings
  }

  /// The kinds of calls that a worker makes from its start to its end under this load.
  @IO private static func kindsOfCalls(_ stage: Stage) async throws -> [String: Int] {
    let proxy = try stage.proxy()
    defer { proxy.close() }
    var kinds: [String: Int] = [:]
    proxy.onCommand = { command in
      kinds[command.kind, default: 0] += 1
      return .pass
    }
    let worker = try await stage.startWorker(settings(proxy.url))
    try await stage.pass(milliseconds: 5_000)
    try await stage.stop([worker])
    return kinds
  }

  /// A worker's life up to its death at a moment. Whether it died there.
  @IO private static func life(_ stage: Stage, _ point: Point, at number: Int) async throws -> Bool {
    let proxy = try stage.proxy()
    defer { proxy.close() }
    var left = number
    var isStruck = false
    proxy.onCommand = { command in
      guard command.kind == point.kind, !isStruck else { return .pass }
      left -= 1
      guard left == 0 else { return .pass }
      isStruck = true
      return point.isAfter ? .strikeAfter : .strikeBefore
    }
    let worker = try stage.launchWorker(settings(proxy.url))
    proxy.onStrike = { worker.process.signal(SIGKILL) }
    let limit = Monotonic.now().advanced(milliseconds: 30_000)
    let asksToStop = lastCalls.contains(point.kind)
    let born = Monotonic.now()
    while worker.isRunning, Monotonic.now() < limit {
      try await stage.pass(milliseconds: 20)
      // Some calls follow a recovery pass alone, of which there is one a second among all workers.
      if !isStruck { try await stage.redis("DEL", stage.queue.keys.fixed(.recovering)) }
      if asksToStop, Monotonic.now().milliseconds(since: born) > 1_200, !isStruck {
        worker.process.signal(SIGTERM)
        // A second signal would end it at once, without these calls.
        _ = await worker.process.waitForExit()
      }
    }
    if worker.isRunning { await worker.kill() }
    return isStruck && worker.process.status == .signalled(SIGKILL)
  }
}
