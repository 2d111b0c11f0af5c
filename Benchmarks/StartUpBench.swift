import Common

/// From the start of a worker's process to its first claim.
@IO
enum StartUpBench {
  static func run(_ lab: Lab) async throws -> [Row] {
    var times: [Double] = []
    for _ in 0..<7 {
      let yard = try await QueueYard(lab)
      try await yard.submit(1, prefix: "first")
      let start = Monotonic.now()
      let worker = try lab.start(
        [
          Lab.program("vision-workers"), "--redis-url", "unix://" + lab.redisSocket, "--namespace",
          yard.namespace, "--grace-ms", "0",
        ], isServer: false)
      let key = yard.queue.keys.job("first-1")
      var isClaimed = false
      while !isClaimed {
        isClaimed = try await lab.redis.send("HGET", key, "attempt").int == 1
        guard worker.status == nil else { throw BenchFailure("the worker ended") }
        guard Monotonic.now().milliseconds(since: start) < 10_000 else {
          throw BenchFailure("no claim in 10 s")
        }
      }
      times.append(Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e6)
      await lab.end(worker)
      try await yard.end()
    }
    return [
      Row(bench: "start-up", metric: "to_first_claim", value: times.median, unit: "ms", aim: .atMost(50))
    ]
  }
}
