import Common

/// Tokens per second from miners' streams into users' replies, through a real worker with 2,000 streams.
@IO
enum RelayBench {
  static let streams = 2_000
  /// Tokens per second of each paced stream: slow enough that each read brings one, and so many that the worker has
  /// three quarters of its core to do. With less of it the same work costs more, since fewer tokens share a turn.
  private static let rate = 30
  /// Tokens of each answer that comes at once: reads are as large as the receive buffer.
  private static let burst = 500

  static func run(_ lab: Lab) async throws -> [Row] { try await paced(lab) + bursts(lab) }

  /// Figures for each token, one list for each column.
  private struct Figures {
    var rates: [Double] = []
    var perEntry: [Double] = []
    var worker: [Double] = []
    var redis: [Double] = []
    var source: [Double] = []

    mutating func add(tokens: Double, entries: Int, seconds: Double, used: [Double]) {
      rates.append(tokens / seconds)
      perEntry.append(tokens / Double(max(1, entries)))
      worker.append(used[0] / tokens)
      redis.append(used[1] / tokens)
      source.append(used[2] / tokens)
    }

    func rows(_ name: String, aim: Double, anchor: String) -> [Row] {
      func row(_ metric: String, _ values: [Double], _ unit: String) -> Row {
        Row(bench: "relay", metric: "\(name)_\(metric)", value: values.median, unit: unit)
      }
      return [
        row("relayed", rates, "tokens/s"), row("tokens_per_entry", perEntry, "tokens"),
        row("redis_cpu", redis, "us/token"), row("source_cpu", source, "us/token"),
        row("worker_cpu", worker, "us/token"),
        Row(
          bench: "relay", metric: "\(name)_per_core", value: 1e6 / worker.median, unit: "tokens/s",
          aim: .atLeast(aim), anchor: anchor),
      ]
    }
  }

  /// Streams that are open all the time, each with a few tokens a second.
  private static func paced(_ lab: Lab) async throws -> [Row] {
    let server = try await lab.flood("--tokens-per-second", String(rate), "--tokens", "100000")
    let scene = try await Scene(lab, .chat, url: server.url)
    try await scene.startWorker(slots: streams + streams / 4)
    try await scene.openStreams(streams)
    let bytesPerToken = try await scene.bytesPerToken()
    var figures = Figures()
    for _ in 0..<Lab.rounds {
      let before = try await scene.progress()
      let usage = try Usage([scene.workerID, lab.redisProcess?.pid ?? 0, server.process.pid])
      await EventLoop.shared.sleep(milliseconds: Int(lab.seconds * 1000))
      let used = try usage.since()
      let after = try await scene.progress()
      // Reading how far the replies are takes a moment: tokens are put in proportion to the time of use.
      let share = used.seconds / (Double(after.at.nanoseconds - before.at.nanoseconds) / 1e9)
      let tokens = Double(after.bytes - before.bytes) / bytesPerToken * share
      guard after.streams == streams, after.ended == 0, tokens > 0 else {
        throw BenchFailure("\(after.ended) of \(after.streams) streams ended")
      }
      figures.add(
        tokens: tokens, entries: Int(Double(after.pieces - before.pieces) * share), seconds: used.seconds,
        used: used.microseconds)
    }
    try await scene.end()
    let bare = try await BareTrial(lab, "relay", url: server.url, count: streams)
    let floor = try await bare.measure()
    try await bare.end()
    await lab.end(server.process)
    return figures.rows("paced", aim: 100_000, anchor: "80000 (9 us), bare trial; 3600, Python")
      + bare.rows("relay", "paced_", floor, ours: figures.worker.median, unit: "us/token")
  }

  /// Answers that come at once, 2,000 of them at a time; what each job costs besides is in the figures.
  private static func bursts(_ lab: Lab) async throws -> [Row] {
    let server = try await lab.flood("--tokens-per-second", "0", "--tokens", String(burst))
    let scene = try await Scene(lab, .chat, url: server.url)
    try await scene.startWorker(slots: streams + streams / 4)
    try await scene.answerAll(streams / 10)
    var figures = Figures()
    for _ in 0..<Lab.rounds {
      try await scene.dropReplies()
      let usage = try Usage([scene.workerID, lab.redisProcess?.pid ?? 0, server.process.pid])
      try await scene.answerAll(streams)
      let used = try usage.since()
      let end = try await scene.progress()
      guard end.done == streams else { throw BenchFailure("\(end.done) of \(end.ended) answers are good") }
      figures.add(
        tokens: Double(streams * burst), entries: end.pieces, seconds: used.seconds, used: used.microseconds)
    }
    try await scene.end()
    await lab.end(server.process)
    return figures.rows("bursts", aim: 450_000, anchor: "427000, bare trial; 3600, Python")
  }
}
