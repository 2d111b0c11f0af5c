import Common

/// Whether work costs more when several worker processes share one Redis, and how far that goes: measured with one,
/// two and four processes on one core under the same load, computed for up to 64 that have a core each.
@IO
enum ScaleBench {
  private static let processes = [1, 2, 4]
  /// Planned queries a second, and users' streams with ten tokens a second each: half of what one core can do.
  private static let queriesPerSecond = 4_000.0
  private static let streams = 800
  private static let tokenRate = 10
  /// The share of its core up to which Redis answers without queues.
  private static let redisShare = 0.7

  private struct Cost {
    var worker: Double
    var redis: Double
  }

  static func run(_ lab: Lab) async throws -> [Row] {
    try await rows(lab, "query", queries) + rows(lab, "token", tokens)
  }

  private static func rows(
    _ lab: Lab, _ item: String, _ measure: @IO (Lab, Int) async throws -> Cost
  ) async throws -> [Row] {
    var costs = processes.map { _ in [Cost]() }
    for _ in 0..<Lab.rounds {
      for (index, count) in processes.enumerated() { costs[index].append(try await measure(lab, count)) }
    }
    func row(_ metric: String, _ value: Double, _ unit: String, _ aim: Aim? = nil) -> Row {
      Row(bench: "scale", metric: "\(item)_\(metric)", value: value, unit: unit, aim: aim)
    }
    var rows: [Row] = []
    for (index, count) in processes.enumerated() {
      rows.append(row("redis_cpu_\(count)_workers", costs[index].map(\.redis).median, "us"))
      rows.append(row("worker_cpu_\(count)_workers", costs[index].map(\.worker).median, "us"))
    }
    let added = zip(costs[0], costs[1]).map { ($1.redis + $1.worker) / ($0.redis + $0.worker) * 100 - 100 }
    rows.append(row("cpu_added_by_a_second", added.median, "%"))
    let model = ScaleModel(
      workerMicroseconds: costs[0].map(\.worker).median, redisMicroseconds: costs[0].map(\.redis).median)
    rows.append(row("a_second_at_70_percent_of_redis", redisShare * 1e6 / model.redisMicroseconds, "1/s"))
    rows.append(
      row(
        "cores_at_70_percent_of_redis", redisShare * model.workerMicroseconds / model.redisMicroseconds,
        "cores"))
    return rows + computed(model, row)
  }

  /// As many items for each worker as bring Redis to 70 % when there are 32: it has to be linear up to there.
  private static func computed(
    _ model: ScaleModel, _ row: (String, Double, String, Aim?) -> Row
  ) -> [Row] {
    let rate = model.rate(workers: 32, redisShare: redisShare)
    return [1, 2, 4, 8, 16, 32, 64].flatMap { count in
      let result = model.run(workers: count, perSecond: rate, seed: 1)
      let name = "computed_\(count)_workers"
      return [
        row("\(name)_done", result.share, "x", count <= 32 ? .atLeast(0.98) : nil),
        row("\(name)_redis", result.redisShare, "x", nil),
        row("\(name)_call_p99", result.callMilliseconds, "ms", nil),
      ]
    }
  }

  // MARK: what is measured

  private static func queries(_ lab: Lab, _ count: Int) async throws -> Cost {
    let server = try await lab.flood("--plain")
    let planned = Int(queriesPerSecond * (lab.seconds + 4))
    let scene = try await Scene(
      lab, .image, url: server.url, planned: planned, pacePerSecond: queriesPerSecond)
    for _ in 0..<count { try await scene.startWorker(slots: 200 / count) }
    await EventLoop.shared.sleep(milliseconds: 1_000)
    let cost = try await cost(lab, scene) { Double(try await NonstreamBench.settled(scene)) }
    await lab.end(server.process)
    return cost
  }

  private static func tokens(_ lab: Lab, _ count: Int) async throws -> Cost {
    let server = try await lab.flood("--tokens-per-second", String(tokenRate), "--tokens", "100000")
    let scene = try await Scene(lab, .chat, url: server.url)
    for _ in 0..<count { try await scene.startWorker(slots: 2 * streams / count) }
    try await scene.openStreams(streams)
    let bytes = try await scene.bytesPerToken()
    let cost = try await cost(lab, scene) { Double(try await scene.progress().bytes) / bytes }
    await lab.end(server.process)
    return cost
  }

  /// Processor time of an item over the length of one measurement.
  private static func cost(
    _ lab: Lab, _ scene: Scene, _ items: @IO () async throws -> Double
  ) async throws -> Cost {
    let (start, before) = (Monotonic.now(), try await items())
    let usage = try Usage([lab.redisProcess?.pid ?? 0] + scene.workers.map(\.pid))
    await EventLoop.shared.sleep(milliseconds: Int(lab.seconds * 1000))
    let used = try usage.since()
    let end = Monotonic.now()
    // Counting takes a moment: items are put in proportion to the time of use.
    let share = used.seconds / (Double(end.nanoseconds - start.nanoseconds) / 1e9)
    let done = (try await items() - before) * share
    guard done > 0 else { throw BenchFailure("nothing was done in \(lab.seconds) s") }
    try await scene.end()
    return Cost(worker: used.microseconds.dropFirst().reduce(0, +) / done, redis: used.microseconds[0] / done)
  }
}
