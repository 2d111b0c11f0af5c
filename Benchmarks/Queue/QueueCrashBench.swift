import Common

/// A worker that holds a hundred jobs is killed, and another is started at once, on a queue without other work:
/// from the kill to the moment at which the last of them reaches the miner again. All settings that matter are
/// the defaults.
///
/// The miner is silent until the kill: a user's request whose answer had begun would end as interrupted.
@IO
enum QueueCrashBench {
  static let jobs = 100
  /// The longer time counts: a limit that holds half of the time is none.
  private static let rounds = 2
  private static let anchor = "BullMQ 61 s, asynq 75-105 s, Sidekiq loses all, quoted"

  static func run(_ lab: Lab) async throws -> [Row] {
    let organic = try await longest(lab, planned: 0)
    let synthetic = try await longest(lab, planned: jobs)
    let bench = "queue-crash"
    return [
      Row(
        bench: bench, metric: "organic_last_rerun", value: organic, unit: "s", aim: .atMost(8), anchor: anchor
      ),
      Row(
        bench: bench, metric: "synthetic_last_rerun", value: synthetic, unit: "s", aim: .atMost(17),
        anchor: anchor),
    ]
      + (try await QueuePeers.rows(
        lab, bench: bench, [.init(name: "last_rerun", unit: "s", ours: ("organic_last_rerun", organic))]))
  }

  private static func longest(_ lab: Lab, planned: Int) async throws -> Double {
    var seconds = 0.0
    for _ in 0..<rounds { seconds = max(seconds, try await crash(lab, planned: planned)) }
    return seconds
  }

  /// Seconds until the last job is with the miner again. `planned` is 0 for users' requests.
  private static func crash(_ lab: Lab, planned: Int) async throws -> Double {
    let probe = try ProbeServer()
    defer { probe.stop() }
    probe.answer = .silence
    let scene = try await Scene(lab, .chat, url: probe.url, planned: planned)
    try await scene.startWorker([])
    if planned == 0 { try await scene.submit(jobs) }
    try await scene.wait(seconds: 20, for: "all jobs to be under way") { probe.arrivals.count == jobs }
    let killedAt = try await scene.killWorker()
    probe.answer = .oneToken
    try await scene.startWorker([])
    try await scene.wait(seconds: 60, for: "all jobs to be begun again") {
      probe.arrivals.values.allSatisfy { $0 > killedAt }
    }
    let last = probe.arrivals.values.max() ?? killedAt
    try await scene.wait(seconds: 20, for: "all jobs to end well") {
      try await done(scene, planned: planned) == jobs
    }
    guard probe.arrivals.count == jobs, probe.order.count == 2 * jobs else {
      throw BenchFailure("the miner got \(probe.order.count) requests of \(probe.arrivals.count) jobs")
    }
    try await scene.end()
    return Double(last.nanoseconds - killedAt.nanoseconds) / 1e9
  }

  private static func done(_ scene: Scene, planned: Int) async throws -> Int {
    guard planned > 0 else { return try await scene.progress().done }
    return try await scene.queue.periodRecord(scene.snapshot.id)?.settled["done"] ?? 0
  }
}
