import Common

/// How fast jobs come into the queue: plans in chunks, users' requests with 200 under way, and one at a time
/// beside one `LPUSH` of the same size.
@IO
enum QueueEnqueueBench {
  static func run(_ lab: Lab) async throws -> [Row] {
    var bulk: [Double] = []
    var wide: [Double] = []
    var single: [Double] = []
    var push: [Double] = []
    var inRedis: (single: [Double], push: [Double]) = ([], [])
    for _ in 0..<Lab.rounds {
      let yard = try await QueueYard(lab)
      let count = Int(50_000 * lab.seconds)
      let period = try await yard.openPeriod(planned: count)
      let due = period.startSeconds * 1000 + 3_000_000
      bulk.append(
        try await perSecond(count) { try await yard.schedule(period, (0..<count).map { due + $0 }) })
      let requests = Int(10_000 * lab.seconds)
      wide.append(try await perSecond(requests) { try await yard.submit(requests, prefix: "w") })
      let times = try await CommandTimes(lab.redis)
      for number in 0..<2_000 {
        single.append(
          try await microseconds { try await yard.submit("s\(number)") })
        var command = RedisCommand("LPUSH", "bench:list")
        command.add(QueueYard.payload)
        push.append(try await microseconds { _ = try await lab.redis.send(command) })
      }
      inRedis.single.append(try await times.median(of: "fcall"))
      inRedis.push.append(try await times.median(of: "lpush"))
      try await yard.end()
    }
    let bench = "queue-enqueue"
    return [
      Row(
        bench: bench, metric: "plan_in_chunks", value: bulk.median, unit: "jobs/s", aim: .atLeast(150_000),
        anchor: "68600 Sidekiq in bulk, quoted"),
      Row(
        bench: bench, metric: "requests_200_under_way", value: wide.median, unit: "jobs/s",
        anchor: "5500 asynq, quoted"),
      Row(bench: bench, metric: "single_p50", value: single.median, unit: "us"),
      Row(bench: bench, metric: "lpush_p50", value: push.median, unit: "us"),
      Row(bench: bench, metric: "single_inside_redis", value: inRedis.single.median, unit: "us"),
      Row(bench: bench, metric: "lpush_inside_redis", value: inRedis.push.median, unit: "us"),
      Row(
        bench: bench, metric: "single_to_lpush", value: single.median / push.median, unit: "x",
        aim: .atMost(1)),
    ]
      + (try await QueuePeers.rows(
        lab, bench: bench,
        [
          .init(
            name: "bulk_jobs_per_second", unit: "jobs/s", ours: ("plan_in_chunks", bulk.median), isRate: true),
          .init(name: "single_p50", unit: "us", ours: ("single_p50", single.median)),
        ]))
  }

  private static func perSecond(_ count: Int, _ work: @IO () async throws -> Void) async throws -> Double {
    Double(count) * 1e6 / (try await microseconds(work))
  }

  private static func microseconds(_ work: @IO () async throws -> Void) async throws -> Double {
    let start = Monotonic.now()
    try await work()
    return Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1000
  }
}
