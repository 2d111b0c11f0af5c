import Common
import Foundation
import Glibc

/// From a miner's token to the reply that keeps it, and to its reader, beside 30,000 tokens a second.
extension OrganicsBench {
  /// Background of the relay measurement: streams and tokens per second of each.
  private static let streams = 1_500
  private static let rate = 20
  /// Distance of the streams that are looked at: requests shall be no load beside the tokens. It is no part of the
  /// tokens' own distance, so that no two streams send at once and each token is a sample of its own.
  private static let streamDistanceMilliseconds = 55
  /// A measurement is quiet when neither core stood still for longer than this, in ms of a second. Three such are
  /// sought, among no more than this. All are judged; what the quiet ones say stands beside.
  private static let (stoodStillMax, roundsMax) = (0.5, 12)

  /// One measurement.
  struct Round {
    var times: TokenTimes
    /// How long the core that did so most stood still, in ms of a second, and its longest; nil where that cannot be seen.
    var stoodStill: Double?
    var longestStall: Double?

    var keptP99: Double { times.kept.quantile(0.99) }
  }

  static func relay(_ lab: Lab, _ probe: ProbeServer) async throws -> [Row] {
    let flood = try await lab.flood("--tokens-per-second", String(rate), "--tokens", "100000")
    let scene = try await Scene(lab, .chat, url: flood.url, probe: probe.url)
    try await scene.startWorker(
      slots: streams + 200, by: await lab.beforeAllOthers() + [Lab.program("vision-workers")])
    try await scene.openStreams(streams)
    let bytes = try await scene.bytesPerToken()
    try await settle(scene, bytes)
    let reader = lab.anotherClient()
    defer { reader.close() }
    var rounds: [Round] = []
    let before = try await scene.progress()
    let core = CoreUsage(lab.serverCore)
    while quiet(rounds).count < Lab.rounds, rounds.count < roundsMax {
      rounds.append(try await round(lab, scene, reader))
    }
    let busy = core.busyShare()
    let after = try await scene.progress()
    let elapsed = Double(after.at.nanoseconds - before.at.nanoseconds) / 1e9
    try await scene.end()
    await lab.end(flood.process)
    let rate = row(
      "relay_rate", Double(after.bytes - before.bytes) / bytes / elapsed, "tokens/s", .atLeast(0.95 * 30_000))
    return [rate] + rows(rounds) + [row("relay_servers_core_busy", 100 * busy, "%", nil)]
  }

  /// The measurements beside which the machine did not stand still; all where nobody can tell.
  static func quiet(_ rounds: [Round]) -> [Round] {
    rounds.filter { ($0.stoodStill ?? 0) <= stoodStillMax }
  }

  private static func rows(_ rounds: [Round]) -> [Row] {
    let quiet = quiet(rounds)
    func median(_ share: Double, _ values: (TokenTimes) -> [Double]) -> Double {
      rounds.map { values($0.times).quantile(share) }.median
    }
    let rows =
      [
        row("relay_kept_p50", median(0.5, \.kept), "ms", nil),
        row("relay_kept_p99", rounds.map(\.keptP99).median, "ms", .atMost(5)),
        row("relay_kept_p99_worst", rounds.map(\.keptP99).max() ?? 0, "ms", nil),
        row("relay_read_p50", median(0.5, \.read), "ms", nil),
        row("relay_read_p99", median(0.99, \.read), "ms", nil),
        row("relay_rounds_quiet", Double(quiet.count), "of \(rounds.count)", nil),
      ] + (quiet.isEmpty ? [] : [row("relay_kept_p99_quiet", quiet.map(\.keptP99).median, "ms", nil)])
    let (stalls, longest) = (rounds.compactMap(\.stoodStill), rounds.compactMap(\.longestStall))
    guard !stalls.isEmpty else { return rows }
    return rows + [
      row("relay_machine_stood_still", stalls.median, "ms/s", nil),
      row("relay_machine_stall_worst", longest.max() ?? 0, "ms", nil),
    ]
  }

  private static func round(_ lab: Lab, _ scene: Scene, _ reader: RedisClient) async throws -> Round {
    // The worker has a core of its own where the machine has two.
    let cores = [lab.serverCore] + (Int(lab.ownCores).map { [$0] } ?? [])
    let watches = cores.map { StallWatch(core: $0) }
    let start = Monotonic.now()
    defer { for watch in watches { _ = watch.end() } }
    let times = try await tokenTimes(lab, scene, reader)
    let seconds = Double(Monotonic.now().nanoseconds - start.nanoseconds) / 1e9
    let stalls = watches.compactMap { $0.end() }
    return Round(
      times: times, stoodStill: stalls.map { $0.milliseconds / seconds }.max(),
      longestStall: stalls.map(\.worst).max())
  }

  /// ms from each token's writing at the miner.
  struct TokenTimes {
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

  /// An entry of a reply as it was read.
  private struct Arrival {
    let at: Monotonic
    let id: String
    let fields: [String: String]
  }

  /// Reads the replies as they come. What it need not know at once it looks at in the end: it runs beside Redis.
  private static func read(
    _ scene: Scene, _ reader: RedisClient, _ seeds: Range<Int>
  ) async throws -> TokenTimes {
    var after = Dictionary(uniqueKeysWithValues: seeds.map { (scene.queue.keys.reply("o\($0)"), "0") })
    var arrivals: [Arrival] = []
    let offset = wallOffset()
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while !after.isEmpty {
      let keys = Array(after.keys)
      let reply = try await reader.send(
        RedisCommand(words: ["XREAD", "BLOCK", "5000", "STREAMS"] + keys + keys.map { after[$0] ?? "0" }),
        timeoutMilliseconds: 10_000)
      let now = Monotonic.now()
      guard now < limit else { throw BenchFailure("the replies do not end within 60 s") }
      for stream in reply.elements ?? [] {
        let key = stream[0]?.text ?? ""
        for entry in stream[1]?.elements ?? [] {
          let arrival = Arrival(at: now, id: entry[0]?.text ?? "0", fields: entry[1]?.fields ?? [:])
          arrivals.append(arrival)
          after[key] = arrival.fields["end"] == nil ? arrival.id : nil
        }
      }
    }
    return times(of: arrivals, offset)
  }

  /// ns from the monotonic clock, which tokens tell, to that of the wall, which entries tell.
  private static func wallOffset() -> Int {
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    return wall.tv_sec * 1_000_000_000 + wall.tv_nsec - Monotonic.now().nanoseconds
  }

  private static func times(of arrivals: [Arrival], _ offset: Int) -> TokenTimes {
    var times = TokenTimes()
    for arrival in arrivals {
      let kept = ((Int(arrival.id.prefix { $0 != "-" }) ?? 0) + 1) * 1_000_000 - offset
      for match in (arrival.fields["data"] ?? "").matches(of: /"t(\d+) "/) {
        let sent = Int(match.1) ?? arrival.at.nanoseconds
        times.read.append(Double(arrival.at.nanoseconds - sent) / 1e6)
        times.kept.append(Double(kept - sent) / 1e6)
      }
    }
    return times
  }
}
