import Common

/// Commands per second through our Redis client, beside `redis-benchmark` with the same depth of pipeline.
@IO
enum XaddBench {
  static func run(_ lab: Lab) async throws -> [Row] {
    var rows: [Row] = []
    for depth in [16, 100] { rows += try await run(lab, depth: depth) }
    return rows
  }

  private static func run(_ lab: Lab, depth: Int) async throws -> [Row] {
    let words = [
      "XADD", "bench:xadd", "MAXLEN", "~", "10000", "*", "data", String(repeating: "x", count: 100),
    ]
    let trial = try await Peers.redisBenchmark(lab, depth: depth, count: 20_000, command: words)
    let count = min(2_000_000, max(20_000, Int(trial.perSecond * lab.seconds)))
    var ours: [LoadResult] = []
    var peer: [Peers.Figure] = []
    for _ in 0..<Lab.rounds {
      ours.append(
        try await Load.run(width: depth, seconds: lab.seconds) {
          _ = try await lab.redis.send(RedisCommand(words: words))
        })
      peer.append(try await Peers.redisBenchmark(lab, depth: depth, count: count, command: words))
    }
    _ = try await lab.redis.send("DEL", words[1])
    let ratios = zip(ours, peer).map { $0.perSecond / $1.perSecond }
    let bench = "xadd"
    return [
      Row(
        bench: bench, metric: "ours_\(depth)_in_flight", value: ours.map(\.perSecond).median, unit: "1/s"),
      Row(bench: bench, metric: "ours_\(depth)_cpu", value: ours.map(\.microsecondsEach).median, unit: "us"),
      Row(
        bench: bench, metric: "redis_benchmark_\(depth)", value: peer.map(\.perSecond).median, unit: "1/s",
        anchor: "750000 on an idle machine"),
      Row(
        bench: bench, metric: "redis_benchmark_\(depth)_cpu", value: peer.map(\.microsecondsEach).median,
        unit: "us"),
      Row(bench: bench, metric: "ratio_\(depth)", value: ratios.median, unit: "x", aim: .atLeast(0.5)),
    ]
  }
}
