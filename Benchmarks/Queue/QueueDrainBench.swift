import Common

/// Jobs per second through one worker process: leased, fenced, settled with a reply (users' requests of 300
/// bytes) or as planned queries.
@IO
enum QueueDrainBench {
  private static let anchor = "12900 (77 + 58 us) BullMQ, 14300 without leases Sidekiq, quoted"
  private static let slots = 200

  static func run(_ lab: Lab) async throws -> [Row] {
    let organics = try await drain(lab, "organics") { yard, count in
      try await yard.submit(count, prefix: "o")
    }
    let planned = try await drain(lab, "planned") { yard, count in
      let period = try await yard.openPeriod(planned: count)
      try await yard.schedule(period, Array(repeating: 1, count: count))
    }
    // Theirs are like users' requests: each has arguments of its own, of the same size.
    let peers = try await QueuePeers.rows(
      lab, bench: "queue-drain",
      [
        .init(
          name: "jobs_per_second", unit: "jobs/s", ours: (organics[0].metric, organics[0].value), isRate: true
        ),
        .init(name: "worker_cpu", unit: "us/job", ours: (organics[1].metric, organics[1].value)),
        .init(name: "redis_cpu", unit: "us/job", ours: (organics[2].metric, organics[2].value)),
      ])
    let alone = try await CommandsAlone.rows(lab)
    let ratios = zip([organics, planned], alone).map { rows, alone in
      Row(
        bench: "queue-drain", metric: rows[0].metric + "_redis_to_commands_alone",
        value: rows[2].value / alone.value,
        unit: "x")
    }
    return organics + planned + alone + ratios + peers
  }

  private static func drain(
    _ lab: Lab, _ name: String, fill: @IO (QueueYard, Int) async throws -> Void
  ) async throws -> [Row] {
    var rates: [Double] = []
    var ours: [Double] = []
    var redis: [Double] = []
    var reads: [Double] = []
    for _ in 0..<Lab.rounds {
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
      rates.append(Double(count) / seconds)
      ours.append((ProcessFigures.ownMicroseconds() - cpu) / Double(count))
      redis.append(used.microseconds[0] / Double(count))
      reads.append((try await yard.writes() - writes) / Double(count))
      await worker.stop()
      try await yard.end()
    }
    let bench = "queue-drain"
    return [
      Row(
        bench: bench, metric: name, value: rates.median, unit: "jobs/s", aim: .atLeast(40_000), anchor: anchor
      ),
      Row(
        bench: bench, metric: "\(name)_worker_cpu", value: ours.median, unit: "us/job", aim: .atMost(25),
        anchor: anchor),
      Row(
        bench: bench, metric: "\(name)_redis_cpu", value: redis.median, unit: "us/job", aim: .atMost(12),
        anchor: anchor),
      Row(
        bench: bench, metric: "\(name)_answers_of_redis", value: reads.median, unit: "1/job",
        aim: .atMost(0.1)),
    ]
  }
}
