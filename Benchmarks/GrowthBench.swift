import Common

/// Whether one request, or one job, costs more when there are many: requests in flight to as many miners, each at
/// a port of its own, and planned queries that wait.
@IO
enum GrowthBench {
  private static let widths = [16, 256, 2_048]
  private static let rounds = 5
  /// Jobs that are due, and those that wait behind them in the larger case.
  private static let due = 10_000
  private static let later = 990_000

  static func run(_ lab: Lab) async throws -> [Row] { try await requests(lab) + jobs(lab) }

  private static func row(_ metric: String, _ value: Double, _ unit: String, _ aim: Aim? = nil) -> Row {
    Row(
      bench: "growth", metric: metric, value: value, unit: unit, aim: aim,
      anchor: aim == nil ? "" : "40-60 % to one host, bare trial")
  }

  private static func percent(_ pairs: [(small: Double, large: Double)]) -> Double {
    pairs.map { ($0.large / $0.small - 1) * 100 }.median
  }

  // MARK: requests in flight

  private static func requests(_ lab: Lab) async throws -> [Row] {
    let flood = try await lab.flood("--plain", "--ports", String(widths.max() ?? 1))
    let client = HTTPClient()
    defer { client.close() }
    var costs = widths.map { _ in [Double]() }
    // The first round opens the connections.
    for round in 0...rounds {
      for (index, width) in widths.enumerated() {
        let cost = try await cost(lab, client, flood.ports.prefix(width))
        if round > 0 { costs[index].append(cost) }
      }
    }
    var counts: [Double] = []
    for width in widths {
      counts.append(try await CountedRequests.instructions(lab, width: width, flood: flood))
    }
    await lab.end(flood.process)
    return widths.indices.flatMap { index in
      let name = "\(widths[index])_in_flight"
      let rows = [
        row("cpu_\(name)", costs[index].median, "us/request"),
        row("instructions_\(name)", counts[index], "instr"),
      ]
      guard index > 0 else { return rows }
      return rows + [
        row("cpu_added_\(name)", percent(zip(costs[0], costs[index]).map { ($0, $1) }), "%"),
        row("instructions_added_\(name)", (counts[index] / counts[0] - 1) * 100, "%", .atMost(15)),
      ]
    }
  }

  /// Processor time of a request with one under way to each server.
  private static func cost(_ lab: Lab, _ client: HTTPClient, _ ports: ArraySlice<Int>) async throws -> Double
  {
    var free = ports.map { "http://127.0.0.1:\($0)" }
    let load = try await Load.run(width: ports.count, seconds: lab.seconds / 2) {
      guard let url = free.popLast() else { throw BenchFailure("more requests than servers") }
      try await PostBench.post(client, url)
      free.append(url)
    }
    return load.microsecondsEach
  }

  // MARK: jobs that wait

  private static func jobs(_ lab: Lab) async throws -> [Row] {
    var few: [Double] = []
    var many: [Double] = []
    for _ in 0..<Lab.rounds {
      few.append(try await drain(lab, later: 0))
      many.append(try await drain(lab, later: later))
    }
    let added = percent(zip(few, many).map { ($0, $1) })
    return [
      row("cpu_10_k_waiting", few.median, "us/job"), row("cpu_1_M_waiting", many.median, "us/job"),
      row("added_1_M_waiting", added, "%", .atMost(15)),
    ]
  }

  /// Processor time of worker and Redis for each of the jobs that are due.
  private static func drain(_ lab: Lab, later: Int) async throws -> Double {
    let yard = try await QueueYard(lab)
    let period = try await yard.openPeriod(planned: due + later)
    let hour = try await yard.queue.nowMilliseconds() + 3_600_000
    try await yard.schedule(period, Array(repeating: 1, count: due) + Array(repeating: hour, count: later))
    let worker = BareWorker(lab, keys: yard.queue.keys, slots: 200)
    let usage = try Usage([lab.redisProcess?.pid ?? 0])
    let cpu = ProcessFigures.ownMicroseconds()
    worker.start()
    try await yard.wait(seconds: 60, for: "\(due) jobs") { worker.settled + worker.lost >= due }
    let redis = try usage.since().microseconds[0]
    let each = (ProcessFigures.ownMicroseconds() - cpu + redis) / Double(due)
    guard worker.lost == 0 else { throw BenchFailure("\(worker.lost) jobs were lost") }
    await worker.stop()
    try await yard.end()
    return each
  }
}
