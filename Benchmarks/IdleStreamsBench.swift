import Common

/// What 2,000 open streams on which nothing happens cost another request of the same client.
@IO
enum IdleStreamsBench {
  private static let rounds = 5

  static func run(_ lab: Lab) async throws -> [Row] {
    let server = try await lab.flood("--plain")
    let idle = try await lab.serve([Lab.program("vision-bench"), HoldServer.verb])
    let client = HTTPClient()
    defer { client.close() }
    var latency: (without: [Double], with: [Double]) = ([], [])
    var cpu: (without: [Double], with: [Double]) = ([], [])
    for _ in 0..<rounds {
      let without = try await measure(lab, client, server.url)
      let streams = OpenStreams()
      try await streams.open(RelayBench.streams, client, url: idle.url)
      let with = try await measure(lab, client, server.url)
      try await streams.close()
      latency.without.append(without.latency)
      latency.with.append(with.latency)
      cpu.without.append(without.cpu)
      cpu.with.append(with.cpu)
    }
    let alone = try await CountedRequests.instructions(lab, width: 1, flood: server)
    let beside = try await CountedRequests.instructions(
      lab, width: 1, flood: server, idle: RelayBench.streams, hold: idle)
    await lab.end(server.process)
    await lab.end(idle.process)
    let bench = "idle-streams"
    func percent(_ pair: (without: [Double], with: [Double])) -> Double {
      zip(pair.with, pair.without).map { ($0 / $1 - 1) * 100 }.median
    }
    let anchor = "not measurable, bare trial"
    return [
      Row(bench: bench, metric: "post_alone", value: latency.without.median, unit: "us"),
      Row(bench: bench, metric: "post_beside_2000", value: latency.with.median, unit: "us"),
      Row(
        bench: bench, metric: "latency_added", value: percent(latency), unit: "%", aim: .atMost(5),
        anchor: anchor),
      Row(bench: bench, metric: "cpu_alone", value: cpu.without.median, unit: "us"),
      Row(bench: bench, metric: "cpu_beside_2000", value: cpu.with.median, unit: "us"),
      Row(bench: bench, metric: "cpu_added", value: percent(cpu), unit: "%"),
      Row(bench: bench, metric: "instructions_alone", value: alone, unit: "instr"),
      Row(bench: bench, metric: "instructions_beside_2000", value: beside, unit: "instr"),
      Row(
        bench: bench, metric: "instructions_added", value: (beside / alone - 1) * 100, unit: "%",
        aim: .atMost(5), anchor: anchor),
    ]
  }

  /// The median time of one request at a time, and its processor time with 64 under way; microseconds.
  private static func measure(
    _ lab: Lab, _ client: HTTPClient, _ url: String
  ) async throws -> (latency: Double, cpu: Double) {
    var times: [Double] = []
    _ = try await Load.run(width: 1, seconds: lab.seconds / 2) {
      let start = Monotonic.now()
      try await PostBench.post(client, url)
      times.append(Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1000)
    }
    let load = try await Load.run(width: PostBench.width, seconds: lab.seconds / 2) {
      try await PostBench.post(client, url)
    }
    return (times.median, load.microsecondsEach)
  }
}

/// Transfers that began and stay open.
@IO
final class OpenStreams: TransferHandler {
  private var transfers: [Transfer] = []
  private var begun = 0
  private var ended = 0

  func open(_ count: Int, _ client: HTTPClient, url: String) async throws {
    let hour = 3_600_000
    let timeouts = HTTPTimeouts(
      connectMilliseconds: hour, firstContentMilliseconds: hour, stallMilliseconds: hour,
      totalMilliseconds: hour)
    let request = HTTPRequest(method: .post, url: url, body: Array("{}".utf8))
    for _ in 0..<count {
      transfers.append(
        client.start(
          request, timeouts: timeouts, limits: HTTPLimits(responseBytesMax: 1 << 20), handler: self))
    }
    try await wait("\(count) streams") { self.begun == count }
    guard ended == 0 else { throw BenchFailure("\(ended) idle streams ended by themselves") }
  }

  func close() async throws {
    for transfer in transfers { transfer.cancel() }
    try await wait("the end of all streams") { self.ended == self.transfers.count }
  }

  private func wait(_ what: String, _ condition: () -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: 30_000)
    while !condition() {
      try Task.checkCancellation()
      guard Monotonic.now() < limit else { throw BenchFailure("waited 30 s in vain for \(what)") }
      await EventLoop.shared.sleep(milliseconds: 20)
    }
  }

  func transfer(_ transfer: Transfer, received head: HTTPHead) { begun += 1 }
  func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer) { transfer.contentArrived() }
  func transfer(_ transfer: Transfer, ended result: Result<HTTPSummary, HTTPFailure>) { ended += 1 }
}
