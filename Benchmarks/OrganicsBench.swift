import Common
import Foundation
import Glibc

/// How soon users are served: through the door to the first byte at the miner, beside an idle worker and beside
/// one that is full of test queries; from the miner's token to the reply; and what a full queue answers.
///
/// The worker has a core of its own; this process, which is the users and the miner, runs beside Redis.
@IO
enum OrganicsBench {
  /// The worker's slots; a fifth are for users.
  private static let slots = 200
  /// Users' requests of one measurement, and their mean distance in ms.
  private static let requests = 600
  private static let distanceMilliseconds = 5.0
  /// Seeds above those of test queries.
  private static let firstSeed = 500_000_000
  private static let python = "6.4 / 13 ms idle, 77 / 159 ms busy, Python"

  static func run(_ lab: Lab) async throws -> [Row] {
    try await lab.moveToServers()
    let probe = try ProbeServer()
    defer { probe.stop() }
    let rows = try await latency(lab, probe) + door(lab, probe) + relay(lab, probe)
    try await lab.moveBack()
    return rows
  }

  static func row(_ metric: String, _ value: Double, _ unit: String, _ aim: Aim?) -> Row {
    Row(bench: "organics", metric: metric, value: value, unit: unit, aim: aim)
  }

  // MARK: to the miner's first byte

  private static func latency(_ lab: Lab, _ probe: ProbeServer) async throws -> [Row] {
    // Its own ceiling: the same users and miner without a queue and a worker between them.
    let ceiling = try await direct(probe)
    let flood = try await lab.flood("--tokens-per-second", "20", "--tokens", "100000")
    let scene = try await Scene(lab, .chat, url: flood.url, planned: 2_000, probe: probe.url)
    _ = try await scene.queue.pause("synthetic", true)
    try await scene.startWorker(slots: slots)
    _ = try await ask(scene, probe, count: 50)
    let idle = try await ask(scene, probe, count: requests)
    _ = try await scene.queue.pause("synthetic", false)
    let most = slots - slots / 5
    try await scene.wait(seconds: 30, for: "busy slots") {
      try await scene.queue.redis.send("ZCARD", scene.queue.keys.fixed(.lease)).int ?? 0 >= most
    }
    let busy = try await ask(scene, probe, count: requests)
    let waiting = try await scene.queue.redis.send("ZCARD", scene.queue.keys.fixed(.due)).int ?? 0
    guard waiting > 0 else { throw BenchFailure("no test query waited") }
    try await scene.end()
    await lab.end(flood.process)
    var rows = [row("direct_p50", ceiling.quantile(0.5), "ms", nil)]
    rows += [
      row("idle_p50", idle.quantile(0.5), "ms", .atMost(1)),
      row("idle_p99", idle.quantile(0.99), "ms", .atMost(3)),
      row("busy_p50", busy.quantile(0.5), "ms", .atMost(2)),
      row("busy_p99", busy.quantile(0.99), "ms", .atMost(10)),
    ]
    for index in 1..<rows.count { rows[index].anchor = python }
    return rows
  }

  /// Milliseconds from the call of the HTTP client to the first byte.
  private static func direct(_ probe: ProbeServer) async throws -> [Double] {
    let client = HTTPClient()
    defer { client.close() }
    var times: [Double] = []
    for number in 0..<200 {
      let seed = firstSeed - 1 - number
      let start = Monotonic.now()
      let body = Array("{\"seed\":\(seed),\"max_tokens\":1}".utf8)
      try await PostBench.post(client, probe.url, body: body)
      guard let arrival = probe.arrivals[seed] else { throw BenchFailure("a direct request did not arrive") }
      times.append(Double(arrival.nanoseconds - start.nanoseconds) / 1e6)
    }
    return times
  }

  static var nextSeed = firstSeed

  /// Pushes requests at random moments and returns how many ms each took to the miner.
  private static func ask(_ scene: Scene, _ probe: ProbeServer, count: Int) async throws -> [Double] {
    var random = SeededRandom(seed: UInt64(count))
    var started: [Int: Monotonic] = [:]
    var pushes: [Task<Void, any Error>] = []
    for _ in 0..<count {
      let seed = nextSeed
      nextSeed += 1
      started[seed] = Monotonic.now()
      pushes.append(IO.task { @IO in try await push(scene, seed: seed, tokens: 1) })
      let pause = -log(1 - random.uniform()) * distanceMilliseconds
      await EventLoop.shared.sleep(milliseconds: Int(pause.rounded()))
      try Task.checkCancellation()
    }
    for push in pushes { try await push.value }
    try await scene.wait(seconds: 20, for: "all arrivals") {
      started.keys.allSatisfy { probe.arrivals[$0] != nil }
    }
    return started.compactMap { seed, start in
      probe.arrivals[seed].map { Double($0.nanoseconds - start.nanoseconds) / 1e6 }
    }
  }

  /// Asks through the door for this many tokens.
  static func push(_ scene: Scene, seed: Int, tokens: Int) async throws {
    let answer = try await call(scene, seed: seed, tokens: tokens)
    guard answer == "created" else { throw BenchFailure("a request was not taken: \(answer)") }
  }

  private static func call(_ scene: Scene, seed: Int, tokens: Int) async throws -> String {
    let payload =
      #"{"messages":[{"role":"user","content":"Tell me about lighthouses."}],"seed":\#(seed),"#
      + #""max_tokens":\#(tokens)}"#
    return try await Door.submit(
      scene.queue, id: "o\(seed)", task: Scene.probeTask, payload: Array(payload.utf8))
  }

  // MARK: a full queue

  private static func door(_ lab: Lab, _ probe: ProbeServer) async throws -> [Row] {
    let scene = try await Scene(lab, .chat, url: probe.url, probe: probe.url)
    _ = try await scene.queue.pause("organic", true)
    try await scene.startWorker(slots: slots)
    try await scene.queue.publish(DoorLimits(waitingMax: 1_000, payloadBytesMax: 1 << 20))
    let first = nextSeed
    nextSeed += 1_000
    for seed in first..<nextSeed { try await push(scene, seed: seed, tokens: 1) }
    var times: [Double] = []
    for number in 0..<1_000 {
      let start = Monotonic.now()
      let answer = try await call(scene, seed: nextSeed + number, tokens: 1)
      times.append(Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e6)
      guard answer == "full" else { throw BenchFailure("over its cap the door answered \(answer)") }
    }
    let before = probe.order.count
    _ = try await scene.queue.pause("organic", false)
    try await scene.wait(seconds: 30, for: "all that was taken") { probe.order.count >= before + 1_000 }
    let served = Array(probe.order[before...])
    guard Set(served) == Set(first..<first + 1_000) else {
      throw BenchFailure("not all that was taken was served")
    }
    // The queue hands them out in order, which tests show; as many as there are slots are then on their way
    // at once, each on a connection of its own.
    let late = served.enumerated().map { abs($1 - first - $0) }.max() ?? 0
    try await scene.end()
    return [
      row("full_p99", times.quantile(0.99), "ms", .atMost(10)), row("full_max", times.max() ?? 0, "ms", nil),
      row("fifo_most_places_off", Double(late), "places", nil),
    ]
  }
}

extension [Double] {
  /// The value below which this share of all lies; 0 of none.
  func quantile(_ share: Double) -> Double {
    guard !isEmpty else { return 0 }
    return sorted()[Swift.min(count - 1, Int(Double(count) * share))]
  }
}
