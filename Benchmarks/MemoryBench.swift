import Common

/// Memory of a worker: idle, and for each of 2,000 users' streams that are open.
@IO
enum MemoryBench {
  static func run(_ lab: Lab) async throws -> [Row] {
    let idle = try await lab.serve([Lab.program("vision-bench"), HoldServer.verb])
    let scene = try await Scene(lab, .chat, url: idle.url)
    try await scene.startWorker(slots: RelayBench.streams + RelayBench.streams / 4)
    await EventLoop.shared.sleep(milliseconds: 2_000)
    let before = try ProcessFigures.memory(of: scene.workerID)
    try await scene.openStreams(RelayBench.streams)
    await EventLoop.shared.sleep(milliseconds: 1_000)
    let after = try ProcessFigures.memory(of: scene.workerID)
    try await scene.end()
    let floor = try await bare(lab, url: idle.url)
    await lab.end(idle.process)
    let each = (after.own - before.own) / Double(RelayBench.streams) / 1024
    let bench = "memory"
    let mebibyte = Double(1 << 20)
    return [
      Row(
        bench: bench, metric: "idle_worker_resident", value: before.resident / mebibyte, unit: "MiB",
        anchor: "85-135, the earlier Python worker"),
      Row(
        bench: bench, metric: "idle_worker_own", value: before.own / mebibyte, unit: "MiB", aim: .atMost(8)),
      Row(bench: bench, metric: "with_2000_streams", value: after.resident / mebibyte, unit: "MiB"),
      Row(
        bench: bench, metric: "per_stream", value: each, unit: "KiB", aim: .atMost(16),
        anchor: "17-20, bare trial"),
      Row(bench: bench, metric: "per_stream_bare", value: floor, unit: "KiB"),
    ]
  }

  /// What each stream takes of a program that has nothing but libcurl's handles, KiB.
  private static func bare(_ lab: Lab, url: String) async throws -> Double {
    var own: [Double] = []
    for count in [1, RelayBench.streams + 1] {
      let trial = try await BareTrial(lab, "relay", url: url, count: count)
      own.append(try trial.ownBytes())
      try await trial.end()
    }
    return (own[1] - own[0]) / Double(RelayBench.streams) / 1024
  }
}
