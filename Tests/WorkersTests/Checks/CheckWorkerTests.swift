import TestSupport
import Testing

@testable import Common
@testable import Simulator
@testable import Workers

@Suite("Check workers at a real server and a real Redis")
struct CheckWorkerTests {
  static func settings(_ faults: [CheckerFault: Double] = [:], milliseconds: Int = 1) -> CheckerSettings {
    CheckerSettings(
      seed: 3, checkMilliseconds: milliseconds, slowMilliseconds: 150, faults: faults)
  }

  /// What a fault that always happens makes of every check.
  struct Case: Sendable, CustomTestStringConvertible {
    let fault: CheckerFault
    let state: VerdictEntry.State
    let score: Double?
    /// Posts for each check.
    let posts: Int
    var testDescription: String { fault.rawValue }
  }

  static let cases = [
    Case(fault: .failsWithoutError, state: .failed, score: nil, posts: 2),
    Case(fault: .emptyScores, state: .unjudged, score: nil, posts: 1),
    Case(fault: .nullScores, state: .unjudged, score: nil, posts: 1),
    Case(fault: .notANumber, state: .unjudged, score: nil, posts: 1),
    Case(fault: .foreignNode, state: .failed, score: nil, posts: 5),
    Case(fault: .unprocessable, state: .failed, score: nil, posts: 1),
    Case(fault: .forgets, state: .failed, score: nil, posts: 5),
    Case(fault: .losesReply, state: .failed, score: nil, posts: 5),
    Case(fault: .slow, state: .judged, score: 1, posts: 1),
  ]

  @Test("every answer gets exactly one verdict, whatever always goes wrong", arguments: cases)
  @IO func eachFault(testCase: Case) async throws {
    try await CheckBench.run(Self.settings([testCase.fault: 1])) { bench in
      let worker = try bench.work()
      try await bench.expectVerdicts(3, testCase.state, score: testCase.score)
      await worker.stop()
      #expect(bench.server.counters["posted"] == 3 * testCase.posts)
    }
  }

  @Test("without faults every honest answer gets its score from one post each")
  @IO func honest() async throws {
    try await CheckBench.run(Self.settings()) { bench in
      let worker = try bench.work()
      try await bench.expectVerdicts(3, .judged, score: 1)
      await worker.stop()
      #expect(bench.server.counters["posted"] == 3 && bench.server.counters["busy"] == nil)
    }
  }

  @Test("lost verdicts are asked for again, and a stranger's verdict is neither read nor credited")
  @IO func sometimes() async throws {
    for fault in [CheckerFault.busyForeign, .losesReply, .forgets, .foreignNode] {
      try await CheckBench.run(Self.settings([fault: 0.4])) { bench in
        let worker = try bench.work()
        try await bench.expectVerdicts(3, .judged, score: 1)
        await worker.stop()
        let counters = bench.server.counters
        #expect(counters["fault_" + fault.rawValue] ?? 0 > 0, "\(fault) did not happen")
        if fault == .busyForeign { #expect(counters["delivered"] == 3 && counters["not_found"] == nil) }
      }
    }
  }

  @Test("a server that is away costs nothing: its checks are judged when it comes back")
  @IO func away() async throws {
    try await CheckBench.run(Self.settings()) { bench in
      let port = bench.server.port
      bench.server.stop()
      let worker = try bench.work(url: "http://127.0.0.1:\(port)")
      // An attempt that was begun and given back leaves a zero.
      try await bench.until { try await bench.field("attempt") == "0" }
      let again = try CheckingServer(Self.settings(), port: port)
      try again.start()
      try await bench.expectVerdicts(3, .judged, score: 1)
      await worker.stop()
      again.stop()
    }
  }

  @Test("of two workers that name a server one uses it; when that stops, the other goes on")
  @IO func twoLanes() async throws {
    try await CheckBench.run(Self.settings(milliseconds: 20), answers: 12) { bench in
      let workers = [try bench.work(), try bench.work()]
      _ = try await bench.verdicts(3)
      let holders = try await TestRedis.keys(bench.queue.redis, prefix: bench.queue.keys.leader("checker:"))
      #expect(holders.count == 1)
      let holder = try await bench.queue.redis.send("GET", holders[0]).text
      let names = try await bench.workers()
      #expect(names.count == 2 && names.count { holder?.hasPrefix($0) == true } == 1)
      // One of the two is the holder; each is stopped in its turn, with checks left.
      await workers[0].stop()
      _ = try await bench.verdicts(6)
      let third = try bench.work()
      await workers[1].stop()
      try await bench.expectVerdicts(12, .judged, score: 1)
      await third.stop()
      #expect(bench.server.counters["busy"] == nil, "two lanes used the server at once")
      #expect(bench.server.counters["posted"] == 12, "a check was done twice")
    }
  }

  @Test("a worker that stops in the middle hands its check back, and the next asks for its verdict")
  @IO func handedOver() async throws {
    try await CheckBench.run(Self.settings([.slow: 1]), answers: 1) { bench in
      let first = try bench.work()
      let name = try await bench.noted()
      await first.stop()
      #expect(try await bench.verdicts(0).isEmpty)
      #expect(try await bench.remote() == name, "the server's name for the check is kept")
      let second = try bench.work()
      try await bench.expectVerdicts(1, .judged, score: 1)
      await second.stop()
      #expect(bench.server.counters["posted"] == 1)
    }
  }

  @Test("a check that the server was left with comes before those that wait longer")
  @IO func leftFirst() async throws {
    var settings = Self.settings([.slow: 1])
    settings.slowMilliseconds = 1_000
    try await CheckBench.run(settings) { bench in
      let first = try bench.work()
      try await bench.until { bench.server.counters["accepted"] == 1 }
      await first.stop()
      let second = try bench.work()
      try await bench.expectVerdicts(3, .judged, score: 1)
      await second.stop()
      #expect(bench.server.counters["busy"] == nil)
      #expect(bench.server.counters["posted"] == 3)
    }
  }

  @Test("a worker that stops while its post is on the way waits for the server's name for the check")
  @IO func postOnTheWay() async throws {
    var settings = Self.settings([.slowPost: 1])
    settings.slowMilliseconds = 5_500
    try await CheckBench.run(settings, answers: 1) { bench in
      let first = try bench.work()
      try await bench.until { bench.server.counters["accepted"] == 1 }
      await first.stop()
      #expect(try await bench.remote() != nil, "the name was heard and written down")
      let second = try bench.work()
      try await bench.expectVerdicts(1, .judged, score: 1)
      await second.stop()
      #expect(bench.server.counters["posted"] == 1)
    }
  }

  @Test("a worker whose post stays without an answer hands its check back when its grace is over")
  @IO func postWithoutAnswer() async throws {
    var settings = Self.settings([.slowPost: 1])
    settings.slowMilliseconds = 120_000
    try await CheckBench.run(settings, answers: 1) { bench in
      let worker = try bench.work(["--grace-ms", "50"])
      try await bench.until { bench.server.counters["accepted"] == 1 }
      let asked = Monotonic.now()
      await worker.stop()
      #expect(Monotonic.now() < asked.advanced(milliseconds: 60_000), "it waited for the server")
      #expect(try await bench.isWaiting())
      #expect(try await bench.remote() == nil)
    }
  }

  @Test("a check that a dead worker left is taken back, and asked for under the name it was given")
  @IO func leftBehind() async throws {
    try await CheckBench.run(Self.settings([.slow: 1]), answers: 1) { bench in
      let first = try bench.work()
      _ = try await bench.noted()
      await first.stop()
      // As a worker leaves it that was killed: leased, with nobody to renew the lease.
      let left = try await bench.queue.claimCheck(
        worker: "dead", nonce: "n", leaseMilliseconds: 100, tasks: [bench.task.name])
      #expect(left?.remoteID != nil && left?.tries == 1)
      let second = try bench.work()
      try await bench.expectVerdicts(1, .judged, score: 1)
      await second.stop()
      #expect(bench.server.counters["posted"] == 1)
    }
  }

  @Test("one that cannot renew its role stops using the server before another may")
  @IO func roleLost() async throws {
    var settings = Self.settings([.slow: 1])
    settings.slowMilliseconds = 1_500
    try await CheckBench.run(settings, answers: 1) { bench in
      let worker = try bench.work()
      _ = try await bench.noted()
      let holders = try await TestRedis.keys(bench.queue.redis, prefix: bench.queue.keys.leader("checker:"))
      _ = try await bench.queue.redis.send("SET", holders[0], "somebody else", "PX", "700")
      try await bench.until { try await bench.isWaiting() }
      #expect(try await bench.verdicts(0).isEmpty)
      try await bench.expectVerdicts(1, .judged, score: 1)
      await worker.stop()
      #expect(bench.server.counters["posted"] == 1)
    }
  }

  @Test("the worker's record says what it does, and a paused lane stays still")
  @IO func record() async throws {
    try await CheckBench.run(Self.settings()) { bench in
      _ = try await bench.queue.pause("check", true)
      let worker = try bench.work()
      try await bench.until {
        let fields = try await bench.record()
        return fields["role"] == "check" && fields["servers_held"] == "1" && fields["checks"] == "0"
      }
      _ = try await bench.queue.pause("check", false)
      try await bench.expectVerdicts(3, .judged, score: 1)
      try await bench.until {
        let fields = try await bench.record()
        return fields["checks"] == "3" && fields["checks_judged"] == "3" && fields["checks_failed"] == "0"
      }
      await worker.stop()
    }
  }

  @Test("a worker that is to check only needs a server")
  @IO func nothingToDo() async throws {
    try await CheckBench.run(Self.settings(), answers: 0) { bench in
      for url in ["", "gopher://x"] {
        #expect(throws: CheckServer.Invalid.self) { try bench.work(url: url) }
      }
    }
  }
}

extension CheckBench {
  /// As the other form, with three answers.
  static func run(
    _ settings: CheckerSettings, _ body: @IO (CheckBench) async throws -> Void
  ) async throws {
    try await run(settings, answers: 3, body)
  }

  /// A field of the first check's record.
  func field(_ name: String) async throws -> String? {
    guard let key = try await TestRedis.keys(queue.redis, prefix: queue.keys.job("c:")).first else {
      return nil
    }
    return try await queue.redis.send("HGET", key, name).text
  }

  /// What the first check's record says of the server's name for it.
  func remote() async throws -> String? { try await field("remote") }

  /// Waits until the only check was named by the server. Returns the name.
  func noted() async throws -> String? {
    try await until { try await self.remote() != nil }
    return try await remote()
  }

  /// Whether the only check waits.
  func isWaiting() async throws -> Bool {
    try await queue.redis.send("ZCARD", queue.keys.check(task.name)).int == 1
  }

  /// The workers that live, without the bench itself.
  func workers() async throws -> [String] {
    let prefix = queue.keys.worker("")
    return try await TestRedis.keys(queue.redis, prefix: prefix)
      .map { String($0.dropFirst(prefix.count)) }.filter { $0 != "t" }
  }

  /// The record of the first worker.
  func record() async throws -> [String: String] {
    guard let name = try await workers().first else { return [:] }
    return try await queue.redis.send("HGETALL", queue.keys.worker(name)).fields ?? [:]
  }
}
