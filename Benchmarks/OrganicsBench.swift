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
  /// Background of the relay measurement: streams and tokens per second of each.
  private static let streams = 1_500
  private static let rate = 20
  /// Distance of the streams that are looked at: requests shall be no load beside the tokens.
  private static let streamDistanceMilliseconds = 50
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

  private static func row(_ metric: String, _ value: Double, _ unit: String, _ aim: Aim?) -> Row {
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

  private static var nextSeed = firstSeed

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

  /// The door as gateways use it.
  private static func call(_ scene: Scene, seed: Int, tokens: Int) async throws -> String {
    let payload =
      #"{"messages":[{"role":"user","content":"Tell me about lighthouses."}],"seed":\#(seed),"#
      + #""max_tokens":\#(tokens)}"#
    let reply = try await scene.queue.redis.send(
      RedisCommand(
        "FCALL", "vision_submit_v1", "1", scene.queue.keys.fixed(.organic), "o\(seed)", Scene.probeTask,
        payload))
    let words = (reply.elements ?? []).compactMap(\.text)
    return words.first == "refused" ? words[1] : words.first ?? ""
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

  // MARK: from the miner's token to the reply

  private static func relay(_ lab: Lab, _ probe: ProbeServer) async throws -> [Row] {
    let flood = try await lab.flood("--tokens-per-second", String(rate), "--tokens", "100000")
    let scene = try await Scene(lab, .chat, url: flood.url, probe: probe.url)
    try await scene.startWorker(slots: streams + 200)
    try await scene.openStreams(streams)
    let bytes = try await scene.bytesPerToken()
    try await settle(scene, bytes)
    let reader = lab.anotherClient()
    defer { reader.close() }
    var times: [TokenTimes] = []
    let before = try await scene.progress()
    let watch = StallWatch()
    let core = CoreUsage(lab.serverCore)
    for _ in 0..<Lab.rounds { times.append(try await tokenTimes(lab, scene, reader)) }
    let (stalls, busy) = (watch.end(), core.busyShare())
    let after = try await scene.progress()
    let elapsed = Double(after.at.nanoseconds - before.at.nanoseconds) / 1e9
    try await scene.end()
    await lab.end(flood.process)
    return [
      row(
        "relay_rate", Double(after.bytes - before.bytes) / bytes / elapsed, "tokens/s",
        .atLeast(0.95 * 30_000)),
      row("relay_kept_p50", times.map { $0.kept.quantile(0.5) }.median, "ms", nil),
      row("relay_kept_p99", times.map { $0.kept.quantile(0.99) }.median, "ms", .atMost(5)),
      row("relay_kept_p99_worst", times.map { $0.kept.quantile(0.99) }.max() ?? 0, "ms", nil),
      row("relay_read_p50", times.map { $0.read.quantile(0.5) }.median, "ms", nil),
      row("relay_read_p99", times.map { $0.read.quantile(0.99) }.median, "ms", nil),
      row("relay_servers_core_busy", 100 * busy, "%", nil),
    ]
      + (stalls.map { stalls in
        [
          row("relay_machine_stood_still", stalls.milliseconds / elapsed, "ms/s", nil),
          row("relay_machine_stall_worst", stalls.worst, "ms", nil),
        ]
      } ?? [])
  }

  /// ms from each token's writing at the miner.
  private struct TokenTimes {
    /// Until Redis kept it in the reply. The entry's id tells, in whole ms, of which the end is taken: never less
    /// than it was.
    var kept: [Double] = []
    /// Until the reader had it.
    var read: [Double] = []
  }

  /// The times of twenty streams beside all others.
  private static func tokenTimes(_ lab: Lab, _ scene: Scene, _ reader: RedisClient) async throws -> TokenTimes
  {
    // The clock must not wait for its core: that is no part of the way. Needs root; else it does wait.
    let process = __priority_which_t(PRIO_PROCESS.rawValue)
    let own = getpriority(process, 0)
    setpriority(process, 0, own - 5)
    defer { setpriority(process, 0, own) }
    let seeds = nextSeed..<nextSeed + 20
    nextSeed = seeds.upperBound
    let tokens = max(10, 2 * Int(lab.seconds * 1000) / ProbeServer.paceMilliseconds)
    // The reader waits before the first token comes.
    let reading = IO.task { @IO in try await read(scene, reader, seeds) }
    for seed in seeds {
      try await push(scene, seed: seed, tokens: tokens)
      await EventLoop.shared.sleep(milliseconds: streamDistanceMilliseconds)
    }
    let times = try await reading.value
    guard times.read.count == seeds.count * tokens else {
      throw BenchFailure("\(times.read.count) tokens were read")
    }
    return times
  }

  /// Waits until what came while the streams opened is written: only then the rate is that of the miners.
  private static func settle(_ scene: Scene, _ bytesPerToken: Double) async throws {
    var last = try await scene.progress()
    for _ in 0..<30 {
      await EventLoop.shared.sleep(milliseconds: 1_000)
      let now = try await scene.progress()
      let seconds = Double(now.at.nanoseconds - last.at.nanoseconds) / 1e9
      let rate = Double(now.bytes - last.bytes) / bytesPerToken / seconds
      if rate < 1.03 * Double(streams * self.rate) { return }
      last = now
    }
  }

  /// Reads the replies as they come.
  private static func read(
    _ scene: Scene, _ reader: RedisClient, _ seeds: Range<Int>
  ) async throws -> TokenTimes {
    var after = Dictionary(uniqueKeysWithValues: seeds.map { (scene.queue.keys.reply("o\($0)"), "0") })
    var times = TokenTimes()
    // Tokens tell the monotonic time, entries that of the wall.
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    let offset = wall.tv_sec * 1_000_000_000 + wall.tv_nsec - Int(Monotonic.now().nanoseconds)
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while !after.isEmpty {
      let keys = after.keys.sorted()
      let reply = try await reader.send(
        RedisCommand(words: ["XREAD", "BLOCK", "5000", "STREAMS"] + keys + keys.map { after[$0] ?? "0" }),
        timeoutMilliseconds: 10_000)
      let now = Monotonic.now().nanoseconds
      guard Monotonic.now() < limit else { throw BenchFailure("the replies do not end within 60 s") }
      guard let streams = reply.elements else { continue }
      for stream in streams {
        let key = stream[0]?.text ?? ""
        for entry in stream[1]?.elements ?? [] {
          let id = entry[0]?.text ?? "0"
          after[key] = id
          let kept = ((Int(id.prefix { $0 != "-" }) ?? 0) + 1) * 1_000_000 - offset
          let fields = entry[1]?.fields ?? [:]
          for match in (fields["data"] ?? "").matches(of: /"t(\d+) "/) {
            let sent = Int(match.1) ?? now
            times.read.append(Double(now - sent) / 1e6)
            times.kept.append(Double(kept - sent) / 1e6)
          }
          if fields["end"] != nil { after[key] = nil }
        }
      }
    }
    return times
  }
}

extension [Double] {
  /// The value below which this share of all lies; 0 of none.
  func quantile(_ share: Double) -> Double {
    guard !isEmpty else { return 0 }
    return sorted()[Swift.min(count - 1, Int(Double(count) * share))]
  }
}
