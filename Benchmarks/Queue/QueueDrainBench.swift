import Common

/// Jobs per second through one worker process: leased, fenced, and settled with a reply (users' requests of 300
/// bytes) or as planned queries. Nobody is asked, so there are no ledger entries; `nonstream` has them.
@IO
enum QueueDrainBench {
  private nonisolated static let anchor = "12900 (77 + 58 us) BullMQ, 14300 without leases Sidekiq, quoted"
  private static let slots = 200

  /// What one kind of job took, one value for each round.
  private struct Figures {
    var rates: [Double] = []
    var worker: [Double] = []
    var redis: [Double] = []
    var reads: [Double] = []
    /// The commands of a job alone, in the same round.
    var alone: [Double] = []

    func rows(_ name: String) -> [Row] {
      let bench = "queue-drain"
      return [
        Row(
          bench: bench, metric: name, value: rates.median, unit: "jobs/s", aim: .atLeast(40_000),
          anchor: anchor),
        Row(
          bench: bench, metric: "\(name)_worker_cpu", value: worker.median, unit: "us/job", aim: .atMost(25),
          anchor: anchor),
        Row(
          bench: bench, metric: "\(name)_redis_cpu", value: redis.median, unit: "us/job", aim: .atMost(12),
          anchor: anchor),
        Row(
          bench: bench, metric: "\(name)_answers_of_redis", value: reads.median, unit: "1/job",
          aim: .atMost(0.1)),
        Row(
          bench: bench, metric: "\(name)_commands_alone_redis_cpu", value: alone.median, unit: "us/job"),
        Row(
          bench: bench, metric: "\(name)_redis_to_commands_alone",
          value: zip(redis, alone).map { $0 / $1 }.median, unit: "x"),
      ]
    }
  }

  static func run(_ lab: Lab) async throws -> [Row] {
    let alone = CommandsAlone(lab)
    var organics = Figures()
    var planned = Figures()
    for _ in 0..<Lab.rounds {
      try await drain(lab, into: &organics) { yard, count in try await yard.submit(count, prefix: "o") }
      organics.alone.append(try await alone.measure(isOrganic: true))
      try await drain(lab, into: &planned) { yard, count in
        let period = try await yard.openPeriod(planned: count)
        try await yard.schedule(period, Array(repeating: 1, count: count))
      }
      planned.alone.append(try await alone.measure(isOrganic: false))
    }
    let rows = organics.rows("organics")
    // Theirs are like users' requests: each has arguments of its own, of the same size.
    let peers = try await QueuePeers.rows(
      lab, bench: "queue-drain",
      [
        .init(
          name: "jobs_per_second", unit: "jobs/s", ours: (rows[0].metric, rows[0].value), isRate: true),
        .init(name: "worker_cpu", unit: "us/job", ours: (rows[1].metric, rows[1].value)),
        .init(name: "redis_cpu", unit: "us/job", ours: (rows[2].metric, rows[2].value)),
      ])
    return rows + planned.rows("planned") + peers
  }

  private static func drain(
    _ lab: Lab, into figures: inout Figures, fill: @IO (QueueYard, Int) async throws -> Void
  ) async throws {
    let yard = try await QueueYard(lab)
    let count = Int(15_000 * lab.seconds)
    try await fill(yard, count)
    let worker = BareWorker(lab, keys: yard.queue.keys, slots: slots)
    let usage = try Usage([lab.redisProcess?.pid ?? 0])
    let (cpu, writes, start) = (ProcessFigures.ownMicroseconds(), try await yard.writes(), Monotonic.now())
    worker.start()
    try await yard.wait(seconds: 60, for: "\(count) jobs") { worker.settled + worker.lost >= count }
    let seconds = Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e9
    let used = try usage.since()
    guard worker.lost == 0 else { throw BenchFailure("\(worker.lost) jobs were lost") }
    figures.rates.append(Double(count) / seconds)
    figures.worker.append((ProcessFigures.ownMicroseconds() - cpu) / Double(count))
    figures.redis.append(used.microseconds[0] / Double(count))
    figures.reads.append((try await yard.writes() - writes) / Double(count))
    await worker.stop()
    try await yard.end()
  }
}
