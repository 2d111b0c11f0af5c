import Glibc
import Testing

@testable import Common
@testable import Simulator

@Suite("A simulated miner under load")
struct MinerLoadTests {
  /// Sends `count` requests at once.
  private static func burst(_ client: BlockingClient, count: Int, maxTokens: Int) async -> [Reply] {
    await withTaskGroup(of: Reply.self) { group in
      for seed in 0..<count {
        let body = Fixture.chat(seed: seed, maxTokens: maxTokens).canonicalText()
        group.addTask { await client.send("POST", "/chat/completions", body) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
  }

  private static func statistics(_ client: BlockingClient) async throws -> JSON {
    try #require(await client.send("GET", "/stats").json)
  }

  @Test("serves 500 streams at a time, each whole")
  func manyStreams() async throws {
    let miner = Fixture.miner(tokensPerSecond: 20, volumePerSecond: 1e6)
    try await Fixture.serving(miner) { client in
      let replies = await MinerLoadTests.burst(client, count: 500, maxTokens: 40)
      #expect(replies.count == 500 && replies.allSatisfy(\.isComplete))
      let expected = (0..<500).map { ReferenceModel.tokens(for: Fixture.chat(seed: $0, maxTokens: 40)).count }
      #expect(replies.map(\.eventCount).sorted() == expected.sorted())
      let stats = try await MinerLoadTests.statistics(client)
      #expect(stats["answered"]?.int == 500 && stats["open"]?.int == 0)
      #expect(stats["disconnects"]?.int == 0)
    }
  }

  /// Holds `count` streams open while `body` runs, then leaves them and waits until the miner noticed.
  private static func holding(
    _ count: Int, _ client: BlockingClient, _ body: () async throws -> Void
  ) async throws {
    var sockets: [Int32] = []
    for seed in 0..<count {
      let request = Fixture.chat(seed: seed, maxTokens: 4000).canonicalText()
      sockets.append(try #require(await client.hold("/chat/completions", request)))
    }
    try await body()
    for socket in sockets { close(socket) }
    var stats = try await statistics(client)
    for _ in 0..<1000 where stats["open"]?.int != 0 { stats = try await statistics(client) }
    #expect(stats["open"]?.int == 0)
  }

  @Test("answers 429 beyond the requests that it can run at a time")
  func concurrency() async throws {
    let miner = Fixture.miner(tokensPerSecond: 1, volumePerSecond: 1e6, inFlightMax: 3)
    try await Fixture.serving(miner) { client in
      try await MinerLoadTests.holding(3, client) {
        let replies = await MinerLoadTests.burst(client, count: 9, maxTokens: 80)
        #expect(replies.allSatisfy { $0.status == 429 && $0.head.contains("retry-after") })
        let stats = try await MinerLoadTests.statistics(client)
        #expect(stats["rate_limited"]?.int == 9 && stats["requests"]?.int == 12)
      }
    }
  }

  @Test("that has the habit answers 429 as soon as one request runs")
  func whenBusy() async throws {
    let miner = Fixture.miner(.rateLimitsWhenBusy, tokensPerSecond: 1, volumePerSecond: 1e6)
    try await Fixture.serving(miner) { client in
      let body = Fixture.chat(maxTokens: 1).canonicalText()
      try await MinerLoadTests.holding(1, client) {
        #expect(await client.send("POST", "/chat/completions", body).status == 429)
      }
      #expect(await client.send("POST", "/chat/completions", body).status == 200)
    }
  }

  @Test("admits over time no more than its hardware can do, in any order of requests")
  func bucket() {
    for seed in 0..<20 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      var bucket = CapacityBucket(volumePerSecond: 3, nowMilliseconds: 0)
      var now = 0
      var admitted = 0.0
      var last = 0.0
      while now < 3_600_000 {
        now += random.below(4000)
        last = Double(1 + random.below(200))
        if bucket.admit(volume: last, nowMilliseconds: now) { admitted += last }
      }
      let most = 3 * (Double(now) / 1000 + CapacityBucket.savedSeconds) + 200
      #expect(admitted <= most, "seed \(seed)")
      #expect(admitted >= 3 * Double(now) / 1000, "seed \(seed)")
    }
  }

  @Test("stops a stream when its client leaves, and counts it")
  func disconnect() async throws {
    try await Fixture.serving(Fixture.miner(tokensPerSecond: 20)) { client in
      try await MinerLoadTests.holding(2, client) {
        let stats = try await MinerLoadTests.statistics(client)
        #expect(stats["open"]?.int == 2)
      }
      let stats = try await MinerLoadTests.statistics(client)
      #expect(stats["disconnects"]?.int == 2 && stats["answered"]?.int == 0)
    }
  }

  @Test("refuses what is no request of its tasks")
  func invalid() async throws {
    try await Fixture.serving(Fixture.miner()) { client in
      #expect(await client.send("POST", "/chat/completions", "{").status == 400)
      #expect(await client.send("POST", "/nothing", "{}").status == 404)
      #expect(await client.send("GET", "/nothing").status == 404)
      #expect(await client.send("POST", "/chat/completions", #"{"model":"other"}"#).status == 404)
    }
  }
}
