import Common

/// Planned image queries through a real worker: claimed, posted, settled with their ledger entries.
@IO
enum NonstreamBench {
  /// More queries than any worker gets done in a second.
  private static let perSecondMax = 60_000

  static func run(_ lab: Lab) async throws -> [Row] {
    let server = try await lab.flood("--plain")
    let planned = Int(lab.seconds * Double(Lab.rounds * perSecondMax)) + perSecondMax
    let scene = try await Scene(lab, .image, url: server.url, planned: planned)
    try await scene.startWorker(slots: 200)
    await EventLoop.shared.sleep(milliseconds: 500)
    var rates: [Double] = []
    var ours: [Double] = []
    var servers: [Double] = []
    for _ in 0..<Lab.rounds {
      let redis = lab.redisProcess?.pid ?? 0
      let before = try await settled(scene)
      let usage = try Usage([scene.workerID, redis, server.process.pid])
      await EventLoop.shared.sleep(milliseconds: Int(lab.seconds * 1000))
      let jobs = Double(try await settled(scene) - before)
      let used = try usage.since()
      guard jobs > 0 else { throw BenchFailure("no query was settled in \(lab.seconds) s") }
      rates.append(jobs / used.seconds)
      ours.append(used.microseconds[0] / jobs)
      servers.append((used.microseconds[1] + used.microseconds[2]) / jobs)
    }
    try await scene.end()
    let bare = try await BareTrial(lab, "post", url: server.url, count: 160)
    let floor = try await bare.measure()
    try await bare.end()
    await lab.end(server.process)
    let bench = "nonstream"
    return [
      Row(
        bench: bench, metric: "jobs", value: rates.median, unit: "1/s",
        anchor: "205, the earlier Python worker"),
      Row(bench: bench, metric: "redis_and_server_cpu", value: servers.median, unit: "us/job"),
      Row(bench: bench, metric: "worker_cpu", value: ours.median, unit: "us/job", anchor: "43, bare trial"),
      Row(
        bench: bench, metric: "jobs_per_core", value: 1e6 / ours.median, unit: "1/s", aim: .atLeast(25_000),
        anchor: "18000, bare trial"),
    ] + bare.rows(bench, "", floor, ours: ours.median, unit: "us/job")
  }

  /// Queries settled so far: all of them well, or the benchmark measures something else.
  static func settled(_ scene: Scene) async throws -> Int {
    guard let record = try await scene.queue.periodRecord(scene.snapshot.id) else {
      throw BenchFailure("the period is gone")
    }
    let done = record.settled["done"] ?? 0
    guard done == record.settledCount else { throw BenchFailure("queries failed: \(record.settled)") }
    guard done < record.planned else { throw BenchFailure("all queries are settled already") }
    return done
  }
}
