import Common
import Foundation

/// The faults that a demo can show, and what came of them.
@IO
final class DemoFaults {
  /// The longest wait for a worker that holds a job, ms.
  private static let victimMilliseconds = 10_000
  /// Between two looks at the jobs of a killed worker, ms: the resolution of what is measured.
  private static let lookMilliseconds = 100

  private let stack: DemoStack
  private let view: DemoView
  /// What became of the killed worker's jobs; nil when none was killed.
  private(set) var takeover: DemoTakeover?

  init(stack: DemoStack, view: DemoView) {
    self.stack = stack
    self.view = view
  }

  /// Carries out what the settings ask for, each at its time in the period. Returns when all is done, the
  /// demo ends or the task is cancelled.
  func run(_ settings: Settings) async {
    let (kill, stop) = (settings.int("kill-worker-after"), settings.int("stop-redis-after"))
    let checker = settings.int("stop-checker-after")
    let faults = [
      IO.task { @IO in if kill > 0 { await self.killWorker(afterSeconds: kill) } },
      IO.task { @IO in if stop > 0, self.stack.ownsRedis { await self.stopRedis(afterSeconds: stop) } },
      IO.task { @IO in if checker > 0 { await self.killChecker(afterSeconds: checker) } },
    ]
    for fault in faults { await fault.value }
  }

  /// Waits until so many seconds of the period are over. False when the demo ends first.
  private func wait(seconds: Int) async -> Bool {
    while view.period == nil, !stack.ending.isFired {
      await EventLoop.shared.sleep(milliseconds: 100, orUntil: stack.ending)
    }
    await EventLoop.shared.sleep(milliseconds: seconds * 1000, orUntil: stack.ending)
    return !stack.ending.isFired
  }

  private func stopRedis(afterSeconds seconds: Int) async {
    guard await wait(seconds: seconds), let redis = stack.running("redis").first else { return }
    stack.expectDeath(of: redis)
    _ = await redis.terminate(graceMilliseconds: 2_000)
    print("\nRedis was stopped")
    await EventLoop.shared.sleep(milliseconds: 5_000, orUntil: stack.gaveUp)
    guard !stack.gaveUp.isFired else { return }
    try? stack.spawnRedis()
    print("\nRedis was started again")
  }

  private func killChecker(afterSeconds seconds: Int) async {
    guard await wait(seconds: seconds), let server = stack.running("checking-server").first else { return }
    stack.expectDeath(of: server)
    server.signal(SIGKILL)
    print("\nthe checking server was killed")
  }

  // MARK: a worker

  private func killWorker(afterSeconds seconds: Int) async {
    guard await wait(seconds: seconds), let victim = await busyWorker() else { return }
    stack.expectDeath(of: victim.process)
    victim.process.signal(SIGKILL)
    _ = await victim.process.waitForExit()
    guard let killedAt = try? await stack.queue.nowMilliseconds() else { return }
    print("\na query worker was killed")
    takeover = DemoTakeover(killedAtMilliseconds: killedAt)
    // What it had sent may reach Redis a moment after its end: its jobs are read twice.
    for pause in [0, 1_000] {
      await EventLoop.shared.sleep(milliseconds: pause, orUntil: stack.gaveUp)
      for (id, token) in (try? await held(by: victim.id)) ?? [:] { takeover?.hold(id, token: token) }
      await look()
    }
    while takeover?.open.isEmpty == false, !stack.gaveUp.isFired, !Task.isCancelled {
      await EventLoop.shared.sleep(milliseconds: DemoFaults.lookMilliseconds, orUntil: stack.gaveUp)
      await look()
      // The demo is over when the weights are there; what is open then stays open.
      if stack.ending.isFired,
        takeover?.isOverdue(at: (try? await stack.queue.nowMilliseconds()) ?? 0) == true
      {
        return
      }
    }
  }

  /// A query worker that holds a job, and its name; nil when none does in time.
  private func busyWorker() async -> (id: String, process: ChildProcess)? {
    for _ in 0..<(DemoFaults.victimMilliseconds / 50) where !stack.ending.isFired {
      let workers = (try? await StatusReport.read(stack.queue).workers) ?? []
      for process in stack.running("worker-") {
        guard let worker = workers.first(where: { $0.fields["pid"] == String(process.pid) }) else { continue }
        if let jobs = try? await held(by: worker.id), !jobs.isEmpty { return (worker.id, process) }
      }
      await EventLoop.shared.sleep(milliseconds: 50, orUntil: stack.ending)
    }
    return nil
  }

  /// The jobs that a worker runs, with their tokens.
  private func held(by worker: String) async throws(RedisError) -> [String: String] {
    let queue = stack.queue
    let reply = try await queue.redis.send("ZRANGE", queue.keys.fixed(.lease), "0", "9999")
    var jobs: [String: String] = [:]
    for id in (reply.elements ?? []).compactMap(\.text) {
      let job = try await queue.redis.send("HMGET", queue.keys.job(id), "worker", "token")
      if job[0]?.text == worker, let token = job[1]?.text { jobs[id] = token }
    }
    return jobs
  }

  /// Looks at the killed worker's jobs that nobody took over yet.
  private func look() async {
    guard let open = takeover?.open.keys else { return }
    for id in open.sorted() {
      guard
        let job = try? await stack.queue.redis.send("HMGET", stack.queue.keys.job(id), "state", "token"),
        let now = try? await stack.queue.nowMilliseconds()
      else { return }
      takeover?.note(id, state: job[0]?.text, token: job[1]?.text, atMilliseconds: now)
    }
  }
}
