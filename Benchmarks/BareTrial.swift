import Common

/// The program `vision-bare`, which does a worker's I/O through libcurl and hiredis and nothing else: what is beside it in
/// a row cannot cost less than it does.
@IO
struct BareTrial {
  private let lab: Lab
  private let process: ChildProcess

  /// What one piece of work cost, in microseconds.
  struct Figures {
    var program: [Double] = []
    var redis: [Double] = []
    var perSecond: [Double] = []
  }

  /// Starts it, and waits until each of its `count` transfers has brought something.
  /// - Parameter mode: `relay` or `post`.
  init(_ lab: Lab, _ mode: String, url: String, count: Int) async throws {
    self.lab = lab
    _ = try await lab.redis.send("DEL", "bare:done")
    process = try lab.start(
      [Lab.program("vision-bare"), mode, url + "/bench", lab.redisSocket, String(count)], isServer: false)
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while try await done() < count {
      guard process.status == nil, Monotonic.now() < limit else {
        throw BenchFailure("vision-bare does not run")
      }
      await EventLoop.shared.sleep(milliseconds: 50)
    }
  }

  private func done() async throws -> Int { try await lab.redis.send("GET", "bare:done").int ?? 0 }

  /// Bytes that are its own.
  func ownBytes() throws -> Double { try ProcessFigures.memory(of: process.pid).own }

  /// Measures as often and as long as the bench does.
  func measure() async throws -> Figures {
    var figures = Figures()
    for _ in 0..<Lab.rounds {
      let before = try await done()
      let usage = try Usage([process.pid, lab.redisProcess?.pid ?? 0])
      await EventLoop.shared.sleep(milliseconds: Int(lab.seconds * 1000))
      let pieces = Double(try await done() - before)
      let used = try usage.since()
      guard process.status == nil, pieces > 0 else { throw BenchFailure("vision-bare ended") }
      figures.program.append(used.microseconds[0] / pieces)
      figures.redis.append(used.microseconds[1] / pieces)
      figures.perSecond.append(pieces / used.seconds)
    }
    return figures
  }

  /// Ends it and removes what it wrote.
  func end() async throws {
    await lab.end(process)
    var command = RedisCommand("UNLINK", "bare:jobs", "bare:done", "bare:ledger")
    for index in 0..<RelayBench.streams { command.add("bare:reply:\(index)") }
    _ = try await lab.redis.send(command)
  }

  /// The rows that a bench shows beside its own figure of `ours` microseconds.
  func rows(_ bench: String, _ name: String, _ figures: Figures, ours: Double, unit: String) -> [Row] {
    [
      Row(bench: bench, metric: "\(name)bare_cpu", value: figures.program.median, unit: unit),
      Row(bench: bench, metric: "\(name)bare_redis_cpu", value: figures.redis.median, unit: unit),
      Row(bench: bench, metric: "\(name)bare_per_core", value: 1e6 / figures.program.median, unit: "1/s"),
      Row(bench: bench, metric: "\(name)to_bare", value: ours / figures.program.median, unit: "x"),
    ]
  }
}
