import TestSupport
import Testing

@testable import Common

@Suite("What workers tell each other through Redis")
struct QueueRouteTests {
  @IO func exchange(
    _ bench: QueueBench, _ worker: String, _ report: String, known: String = "", task: String = "chat"
  ) async throws -> RouteNews {
    let notice = RouteNotice(task: task, report: Array(report.utf8), verdictsKnown: known)
    let news = try await bench.queue.exchangeRoutes(worker: worker, lifeMilliseconds: 4_000, [notice])
    return try #require(news.first)
  }

  func texts(_ news: RouteNews) -> [String] { news.reports.map { String(decoding: $0.bytes, as: UTF8.self) } }

  @Test("reports reach the others, with their age, and never their writer")
  @IO func reports() async throws {
    try await QueueBench.run { bench in
      #expect(try await exchange(bench, "a", "of a").reports.isEmpty)
      try await bench.pass(300)
      let seen = try await exchange(bench, "b", "of b")
      #expect(texts(seen) == ["of a"] && seen.reports.first?.ageMilliseconds == 300)
      let news = try await exchange(bench, "a", "of a, later")
      #expect(texts(news) == ["of b"])
      #expect(texts(try await exchange(bench, "b", "of b")) == ["of a, later"], "the latest stands")
      #expect(texts(try await exchange(bench, "c", "", task: "image")).isEmpty, "each task has its own")
    }
  }

  @Test("a report of a worker that died is read no longer than its life, and leaves nothing behind")
  @IO func expiry() async throws {
    try await QueueBench.run { bench in
      _ = try await exchange(bench, "dead", "1 2 3")
      try await bench.pass(3_999)
      #expect(texts(try await exchange(bench, "b", "")) == ["1 2 3"])
      try await bench.pass(1)
      #expect(texts(try await exchange(bench, "b", "")).isEmpty)
      let key = bench.queue.keys.route("chat")
      #expect(try await bench.queue.redis.send("EXISTS", key).int == 0)
      _ = try await exchange(bench, "dead", "again")
      #expect(try await bench.queue.redis.send("PTTL", key).int ?? -1 > 0, "and with it goes the key")
      _ = try await exchange(bench, "dead", "")
      #expect(texts(try await exchange(bench, "b", "")).isEmpty, "nothing to tell takes it back")
    }
  }

  @Test("any bytes are carried, and what is damaged is dropped")
  @IO func bytes() async throws {
    try await QueueBench.run { bench in
      let report = (0...255).map { UInt8($0) }
      let notice = RouteNotice(task: "chat", report: report, verdictsKnown: "")
      _ = try await bench.queue.exchangeRoutes(worker: "a", lifeMilliseconds: 4_000, [notice])
      _ = try await bench.queue.redis.send("HSET", bench.queue.keys.route("chat"), "x", "nonsense")
      #expect(try await exchange(bench, "b", "").reports.map(\.bytes) == [report])
      #expect(try await bench.queue.redis.send("HEXISTS", bench.queue.keys.route("chat"), "x").int == 0)
    }
  }

  @Test("one call is bounded: 64 other workers are read")
  @IO func bounded() async throws {
    try await QueueBench.run { bench in
      for number in 0..<80 { _ = try await exchange(bench, "w\(number)", "r") }
      #expect(try await exchange(bench, "b", "").reports.count == 64)
    }
  }

  /// Has one answer of `hk0` judged.
  @IO func judge(_ bench: QueueBench, _ id: String, _ score: Double?) async throws {
    try await bench.submit(id)
    let grant = try #require(try await bench.claim(synthetics: 0).grants.first)
    let sample = Sample(waitingMax: 9, bytesMax: 100, answer: [7])
    #expect(try await bench.queue.settle([bench.end(grant, sample: sample)]) == [.ok])
    let check = try #require(try await bench.claimCheck())
    let state: VerdictEntry.State = score == nil ? .unjudged : .judged
    #expect(try await bench.queue.settleCheck(id: check.id, token: check.token, state: state, score: score))
  }

  @Test("verdicts move a miner's running mean, which a worker hears of once")
  @IO func verdicts() async throws {
    try await QueueBench.run { bench in
      try await judge(bench, "a", 1)
      try await judge(bench, "b", 0.5)
      let news = try await exchange(bench, "w", "")
      #expect(news.means == [RouteNews.Mean(hotkey: "hk0", mean: 0.75, verdicts: 2)])
      #expect(try await exchange(bench, "w", "", known: news.verdictsKnown).means.isEmpty)
      try await judge(bench, "c", nil)
      #expect(
        try await exchange(bench, "w", "", known: news.verdictsKnown).means.isEmpty,
        "no verdict is neither credit nor penalty")
      for (number, score) in [-7, 9, .nan, .infinity].enumerated() {
        try await judge(bench, "d\(number)", score)
      }
      let later = try await exchange(bench, "w", "", known: news.verdictsKnown)
      let mean = try #require(later.means.first)
      #expect(
        mean.verdicts == 4 && abs(mean.mean - 0.625) < 1e-5, "clamped, and only finite ones count: \(mean)")
    }
  }

  @Test("means are kept for at most a thousand miners of a task")
  @IO func meansBounded() async throws {
    try await QueueBench.run { bench in
      let key = bench.queue.keys.quality("chat")
      var command = RedisCommand(words: ["HSET", key])
      for number in 0..<1_100 {
        command.add("gone\(number)")
        command.add("1.000000 3")
      }
      _ = try await bench.queue.redis.send(command)
      try await judge(bench, "a", 1)
      #expect(try await bench.queue.redis.send("HLEN", key).int ?? 0 <= 1_101)
      #expect(try await bench.queue.redis.send("HGET", key, "hk0").text == "1.000000 1")
      #expect(try await bench.queue.redis.send("TTL", key).int ?? -1 > 0, "hotkeys come and go")
    }
  }

  @Test("a claim leaves slots to synthetics that are due, and users the rest")
  @IO func keptForSynthetics() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[4]])
      try await bench.pass(600_000 - 1)
      try await bench.submit("a", "b", "c", "d")
      let claim = try await bench.queue.claim(
        worker: "w", request: 1, nonce: "n", organicMax: 4, syntheticMax: 3, organicLeaseMilliseconds: 6_000,
        syntheticLeaseMilliseconds: 15_000, keptForSynthetics: 1)
      #expect(
        claim.grants.map(\.kind).map(\.rawValue).sorted() == ["organic", "organic", "organic", "synthetic"])
      let all = try await bench.queue.claim(
        worker: "w", request: 2, nonce: "m", organicMax: 1, syntheticMax: 1, organicLeaseMilliseconds: 6_000,
        syntheticLeaseMilliseconds: 15_000, keptForSynthetics: 1)
      #expect(all.grants.map(\.kind) == [.synthetic])
      #expect(try await bench.marker(.wakeOrganic) != nil, "the user who waits still wakes somebody")
    }
  }
}
