import Common
import Foundation

/// From the push of a request to its handler, one every five milliseconds; and how late planned queries begin,
/// by Redis's clock.
@IO
enum QueueLatencyBench {
  private static let distanceMilliseconds = 5
  private static let jobs = 1_000

  static func pushes(_ lab: Lab) async throws -> [Row] {
    let yard = try await QueueYard(lab)
    let worker = BareWorker(lab, keys: yard.queue.keys, slots: 20)
    var started: [String: Monotonic] = [:]
    var milliseconds: [Double] = []
    worker.onStart = { grant in
      guard let start = started.removeValue(forKey: grant.id) else { return }
      milliseconds.append(Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e6)
    }
    worker.start()
    await EventLoop.shared.sleep(milliseconds: 300)
    let times = try await CommandTimes(lab.redis)
    for number in 0..<jobs {
      let id = "l\(number)"
      started[id] = Monotonic.now()
      try await yard.submit(id)
      await EventLoop.shared.sleep(milliseconds: distanceMilliseconds)
    }
    try await yard.wait(seconds: 10, for: "all jobs") { milliseconds.count == jobs }
    let (submit, scripts) = (
      try await times.median(of: "fcall"), try await times.median(of: "evalsha")
    )
    await worker.stop()
    try await yard.end()
    let (middle, late) = (milliseconds.quantile(0.5), milliseconds.quantile(0.99))
    let handovers = try await handovers(lab)
    let anchor = "0.7 / 1.9 Sidekiq, 0.8 / 5.2 BullMQ, quoted"
    let bench = "queue-latency"
    return [
      Row(bench: bench, metric: "blpop_p50", value: handovers.quantile(0.5), unit: "ms"),
      Row(bench: bench, metric: "blpop_p99", value: handovers.quantile(0.99), unit: "ms"),
      Row(bench: bench, metric: "submit_inside_redis", value: submit / 1000, unit: "ms"),
      Row(bench: bench, metric: "claim_or_settle_inside_redis", value: scripts / 1000, unit: "ms"),
      Row(bench: bench, metric: "p50", value: middle, unit: "ms", aim: .atMost(0.3), anchor: anchor),
      Row(bench: bench, metric: "p99", value: late, unit: "ms", aim: .atMost(1), anchor: anchor),
    ]
      + (try await QueuePeers.rows(
        lab, bench: bench,
        [
          .init(name: "p50", unit: "ms", ours: ("p50", middle)),
          .init(name: "p99", unit: "ms", ours: ("p99", late)),
        ]))
  }

  /// What a push and its handler both know.
  @IO
  private final class Handovers {
    var start = Monotonic.now()
    var milliseconds: [Double] = []
  }

  /// From an `LPUSH` of the same bytes to the client that waits for it in `BLPOP`, in ms: the same way without a
  /// script, a job and a lease.
  private static func handovers(_ lab: Lab) async throws -> [Double] {
    let (waiting, handovers) = (lab.anotherClient(), Handovers())
    let key = "bench:handover"
    let taking = IO.task { @IO in
      while handovers.milliseconds.count < jobs {
        let taken = try await waiting.send("BLPOP", key, "1")
        let now = Monotonic.now()
        guard taken.elements != nil else { throw BenchFailure("BLPOP brought nothing") }
        handovers.milliseconds.append(Double(now.nanoseconds - handovers.start.nanoseconds) / 1e6)
      }
    }
    let push = RedisCommand(words: ["LPUSH", key, String(decoding: QueueYard.payload, as: UTF8.self)])
    await EventLoop.shared.sleep(milliseconds: 100)
    for _ in 0..<jobs {
      handovers.start = Monotonic.now()
      _ = try await lab.redis.send(push)
      await EventLoop.shared.sleep(milliseconds: distanceMilliseconds)
    }
    try await taking.value
    waiting.close()
    return handovers.milliseconds
  }

  static func delayed(_ lab: Lab) async throws -> [Row] {
    let yard = try await QueueYard(lab)
    let period = try await yard.openPeriod(planned: 2_000)
    let first = try await yard.queue.nowMilliseconds() + 500
    // One every five milliseconds for ten seconds.
    let dues = (0..<2_000).map { first + $0 * 5 }
    try await yard.schedule(period, dues)
    let worker = BareWorker(lab, keys: yard.queue.keys, slots: 100)
    let offset = try await clockOffset(yard)
    var late: [Double] = []
    worker.onStart = { grant in
      guard let job = SyntheticJob(id: grant.id) else { return }
      let now = Double(Monotonic.now().nanoseconds) / 1e6 + offset
      late.append(now - Double(dues[job.number]))
    }
    worker.start()
    try await yard.wait(seconds: 20, for: "all queries") { late.count == dues.count }
    await worker.stop()
    try await yard.end()
    let anchor = "1.4 / 45 Celery (in the worker's memory), 46 / 98 BullMQ, quoted"
    let (middle, latest) = (late.quantile(0.5), late.quantile(0.99))
    let bench = "queue-delayed"
    return [
      Row(bench: bench, metric: "late_p50", value: middle, unit: "ms", aim: .atMost(2), anchor: anchor),
      Row(bench: bench, metric: "late_p99", value: latest, unit: "ms", aim: .atMost(10), anchor: anchor),
      // Redis's clock is read in whole milliseconds.
      Row(bench: bench, metric: "earliest", value: late.min() ?? 0, unit: "ms", aim: .atLeast(-0.5)),
    ]
      + (try await QueuePeers.rows(
        lab, bench: bench,
        [
          .init(name: "late_p50", unit: "ms", ours: ("late_p50", middle)),
          .init(name: "late_p99", unit: "ms", ours: ("late_p99", latest)),
        ]))
  }

  /// What turns this process's monotonic clock into Redis's, in ms: of many readings the one that came back
  /// soonest.
  private static func clockOffset(_ yard: QueueYard) async throws -> Double {
    var best = (trip: Double.infinity, offset: 0.0)
    for _ in 0..<200 {
      let before = Double(Monotonic.now().nanoseconds) / 1e6
      guard let time = try await yard.lab.redis.send("TIME").elements, time.count == 2,
        let seconds = time[0].int, let microseconds = time[1].int
      else { throw BenchFailure("Redis does not tell the time") }
      let trip = Double(Monotonic.now().nanoseconds) / 1e6 - before
      if trip < best.trip {
        best = (trip, Double(seconds) * 1000 + Double(microseconds) / 1000 - before - trip / 2)
      }
    }
    return best.offset
  }
}
