import Glibc
import TestSupport
import Testing

@testable import Common

@Suite("The queue under faults")
struct QueueFaultTests {
  @Test("a worker that dies before its first heartbeat is missed")
  @IO func noHeartbeat() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      _ = try await bench.claim("fresh")
      let life = try await bench.queue.redis.send("PTTL", bench.queue.keys.worker("fresh")).int ?? -1
      #expect(life > 0 && life <= 15_000)
    }
  }

  @Test("a worker that hears of its claim late has the whole lease left")
  @IO func lateClaim() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[1]])
      try await bench.submit("a")
      let first = try await bench.claim("w", request: 7)
      #expect(first.grants.count == 2)
      // The reply was lost, and Redis away for most of the lease.
      try await bench.pass(5_500)
      #expect(try await bench.claim("w", request: 7).grants == first.grants)
      try await bench.pass(5_500)
      #expect(try await bench.recover()?.takenBack == 0)
      try await bench.pass(1_000)
      #expect(try await bench.recover()?.takenBack == 1, "the organic's 6 s are over")
    }
  }

  @Test("each of a worker's connections repeats its own claim, and a claim that comes late grants nothing")
  @IO func series() async throws {
    try await QueueBench.run { bench in
      func claim(_ request: Int, _ series: String, most: Int = 1) async throws -> [String] {
        let result = try await bench.queue.claim(
          worker: "w", request: request, series: series, nonce: "\(series)\(request)", organicMax: most,
          syntheticMax: 0, organicLeaseMilliseconds: 6_000, syntheticLeaseMilliseconds: 6_000)
        return result.grants.map(\.id)
      }
      try await bench.submit("a", "b", "c")
      #expect(try await claim(5, "") == ["a"])
      #expect(try await claim(2, "organics") == ["b"])
      #expect(try await claim(5, "") == ["a"])
      #expect(try await claim(2, "organics") == ["b"])
      // The connection broke while the third waited in Redis: it was asked again on another one, for nothing new.
      #expect(try await claim(3, "organics", most: 0) == [])
      #expect(try await claim(3, "organics") == [])
      #expect(try await claim(2, "organics") == [], "nor one from before")
      #expect(try await claim(6, "") == ["c"])
    }
  }

  @Test("pieces are written once and without a gap")
  @IO func pieces() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let grant = try #require(try await bench.claim().grants.first)
      func append(_ before: Int, bytes: Int, _ sizes: Int...) async throws -> [Int: LeaseResult] {
        let pieces = sizes.map { [UInt8](repeating: 65, count: $0) }
        return try await bench.queue.append("a", grant.token, at: .init(pieces: before, bytes: bytes), pieces)
      }
      #expect(try await append(1, bytes: 1, 1) == [0: .lost], "the first piece is missing")
      #expect(try await append(0, bytes: 0, 4, 4) == [:])
      #expect(try await append(1, bytes: 4, 4, 1) == [:], "one that is there, and one that is not")
      #expect(try await append(4, bytes: 9, 9) == [0: .lost], "not with a hole in it")
      #expect(try await bench.reply("a").map { $0["n"] } == ["1", "2", "3"])
      #expect(try await bench.reply("a").map { $0["bytes"] } == ["4", "8", "9"])
    }
  }

  @Test("a reply that never got its first piece can be run again")
  @IO func nothingWritten() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let grant = try #require(try await bench.claim().grants.first)
      let start = ReplyPosition(pieces: 1, bytes: 1)
      #expect(try await bench.queue.append("a", grant.token, at: start, [[65]]) == [0: .lost])
      #expect(try await bench.queue.release([("a", grant.token, 0)]) == [.ok])
      let next = try #require(try await bench.claim().grants.first)
      #expect(try await bench.queue.append("a", grant.token, [[65]]) == [0: .lost], "an old token")
      #expect(try await bench.queue.append("a", next.token, [[65]]) == [:])
    }
  }

  @Test("a synthetic has no reply to write to")
  @IO func syntheticReply() async throws {
    try await QueueBench.run { bench in
      _ = try await bench.plan(counts: [[1]])
      let grant = try #require(try await bench.claim().grants.first)
      #expect(try await bench.queue.append(grant.id, grant.token, [[65]]) == [0: .lost])
    }
  }

  @Test("an organic's reply ends even when its worker forgot to say how")
  @IO func forgottenEnd() async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a", "b")
      for (grant, last) in zip(try await bench.claim().grants, [[], [("completion_tokens", "many")]]) {
        let end = Settlement(id: grant.id, token: grant.token, state: .done, attempts: [], last: last)
        #expect(try await bench.queue.settle([end]) == [.ok])
        #expect(try await bench.reply(grant.id).last?["end"] == "done")
        let record = try await bench.queue.redis.send(
          "HMGET", bench.queue.keys.job(grant.id), "prompt_tokens", "completion_tokens")
        #expect(record[0]?.text == "0" && record[1]?.text == "0", "what is no number counts as none")
      }
    }
  }

  @Test("a job that stands twice in a call is settled once")
  @IO func settledTwice() async throws {
    try await QueueBench.run { bench in
      let snapshot = try await bench.plan(counts: [[1]])
      try await bench.submit("a")
      for grant in try await bench.claim().grants {
        let end = bench.end(grant, period: snapshot.id)
        #expect(try await bench.queue.settle([end, end]) == [.ok, .lost], "\(grant.id)")
        #expect(try await bench.queue.settle([end]) == [.lost], "\(grant.id)")
      }
      #expect(try await bench.ledger().count { if case .attempt = $0 { true } else { false } } == 2)
      let settled = try await bench.queue.redis.send("HGET", bench.queue.keys.period(snapshot.id), "done")
      #expect(settled.int == 1)
    }
  }

  @Test("one damaged record stops neither claims nor recovery")
  @IO func damaged() async throws {
    try await TestRedis.withQueue(clock: .testKey) { queue in
      let bench = QueueBench(queue)
      try await bench.pass(0)
      try await bench.send("HSET", .tasks, "chat", "{}")
      try await bench.submit("a", "b")
      let snapshot = try await bench.plan(counts: [[2]], lengthMilliseconds: 2)
      try await bench.pass(1)
      let query = "s:\(snapshot.id):chat:0:0"
      for id in ["a", query] {
        _ = try await queue.redis.send("DEL", queue.keys.job(id))
        _ = try await queue.redis.send("SET", queue.keys.job(id), "damage")
      }
      let claimed = try await bench.claim().grants.map(\.id)
      #expect(claimed == ["b", query, "s:\(snapshot.id):chat:0:1"])
      _ = try await queue.redis.send("DEL", queue.keys.job("b"))
      _ = try await queue.redis.send("SET", queue.keys.job("b"), "damage")
      try await bench.submit("c")
      #expect(try await bench.claim().grants.map(\.id) == ["c"])
      try await bench.pass(15_000)
      #expect(try await bench.recover()?.takenBack == 3)
    }
  }

  @Test(
    "the dead list is bounded by count and by bytes, and its jobs stay known for as long as their replies")
  @IO func deadBounds() async throws {
    try await QueueBench.run { bench in
      let large = [UInt8](repeating: 32, count: 7 << 20)
      for index in 0..<10 {
        _ = try await bench.queue.submit(id: "o\(index)", task: "chat", payload: large)
      }
      for _ in 1...3 {
        _ = try await bench.claim()
        try await bench.kill()
        try await bench.pass(6_000)
        try await bench.recover()
      }
      #expect(try await bench.send("ZCARD", .dead).int == 9)
      #expect(try await bench.send("GET", .deadBytes).int ?? 0 <= 64 << 20)
      #expect(try await bench.queue.revive(id: "o9", "drop") == "dropped")
      for id in ["o0", "o9"] {
        let again = try await bench.queue.submit(id: id, task: "chat", payload: [])
        #expect(again == .duplicate(state: "dead"))
        #expect(try await bench.reply(id).count == 1)
      }
      #expect(try await bench.queue.revive(id: "o8", "retry") == "retried")
      #expect(try await bench.reply("o8").isEmpty)
    }
  }

  @Test("a repeated checkpoint publishes once")
  @IO func checkpointTwice() async throws {
    try await QueueBench.run { bench in
      #expect(try await bench.queue.lead(role: "aggregator", token: "t", lifeMilliseconds: 60_000))
      let weights = JobQueue.Publication(
        weights: ["hk", "1"], about: ["period", "1"], result: "{}", keep: 5)
      for (from, to) in [("", "1-1"), ("1-1", "1-1"), ("1-1", "1-1"), ("", "1-1")] {
        let result = try await bench.queue.checkpoint(
          leader: "t", from: from, to: to, state: [1], publication: weights)
        #expect(result == .ok)
      }
      #expect(try await bench.send("LLEN", .weightsHistory).int == 1)
      let other = try await bench.queue.checkpoint(
        leader: "t", from: "0-1", to: "2-1", state: [2], publication: nil)
      #expect(other == .moved)
    }
  }

  @Test("scripts run whatever Redis forgets, and whenever")
  @IO func flushes() async throws {
    try await QueueBench.run { bench in
      let flusher = Task { @IO in
        for _ in 0..<200 { _ = try await bench.queue.redis.send("SCRIPT", "FLUSH") }
      }
      for index in 0..<200 {
        try await bench.submit("o\(index)")
        let grant = try #require(try await bench.claim().grants.first)
        #expect(try await bench.queue.settle([bench.end(grant)]) == [.ok])
      }
      try await flusher.value
    }
  }

  @Test("an account is a short name without a bar")
  @IO func accounts() async throws {
    try await QueueBench.run { bench in
      for account in ["a|b", String(repeating: "a", count: 129)] {
        let result = try await bench.queue.submit(id: "a", task: "chat", payload: [], account: account)
        #expect(result == .refused(reason: "bad_account"))
      }
      #expect(try await bench.queue.submit(id: "a", task: "chat", payload: [], account: "me") == .created)
    }
  }
}

extension QueueFaultTests {
  @Test("beyond 80 % of the memory new work is refused by a reason, and all that runs goes on to its end")
  @IO func memory() async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"])
    let client = try redis.client()
    let queue = JobQueue(redis: client, keys: Keys(namespace: "vision"))
    _ = try await FunctionLibrary.install(on: client)
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    #expect(try await queue.submit(id: "a", task: "chat", payload: [1]) == .created)
    let claim = try await queue.claim(
      worker: "w", request: 1, nonce: "n", organicMax: 5, syntheticMax: 0, organicLeaseMilliseconds: 60_000,
      syntheticLeaseMilliseconds: 60_000)
    let grant = try #require(claim.grants.first)
    #expect(try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000))
    let fill = "for i = 1, 55 do redis.call('SET', 'fill:' .. i, string.rep('x', 1000000)) end"
    _ = try await client.send("EVAL", fill, "0")
    let refusal = Refusal(reason: "full", field: "memory", problem: "is used to more than 80 %")
    #expect(try await queue.submit(id: "b", task: "chat", payload: [1]) == .refused(refusal))
    let door = try await client.send(
      "FCALL", "vision_submit_v1", "1", queue.keys.fixed(.organic), "b", "chat", "{}")
    #expect(door.elements?.compactMap(\.text) == ["refused", "full", "memory", refusal.problem])
    let snapshot = try PeriodSnapshot.make(counts: [[1]])
    let opening = try await #require(throws: RedisError.self) {
      try await queue.openPeriod(
        leader: "p", snapshot: snapshot, encoded: [1], seed: 1, pacePerSecond: 1, burst: 1)
    }
    #expect(opening.code == .outOfMemory && opening.message.hasPrefix("OOM more than 80 %"))
    // To the last byte, and beyond.
    _ = try? await client.send("EVAL", fill.replacing("fill:", with: "more:"), "0")
    let renewed = try await queue.renew(
      worker: "w", lifeMilliseconds: 60_000, record: [], jobs: [("a", grant.token, 60_000)])
    #expect(renewed.ended == [:])
    let piece = [UInt8](repeating: 65, count: 100_000)
    #expect(try await queue.append("a", grant.token, [piece]) == [:])
    let end = Settlement(id: "a", token: grant.token, state: .done, attempts: [])
    #expect(try await queue.settle([end]) == [.ok])
    #expect(try await queue.recover() != nil)
    _ = try await client.send(
      "EVAL", "for i = 1, 55 do redis.call('DEL', 'fill:' .. i, 'more:' .. i) end", "0")
    #expect(try await queue.submit(id: "b", task: "chat", payload: [1]) == .created)
    client.close()
    await redis.stop()
  }
}

extension QueueFaultTests {
  @Test("a reader that asks for a reply again and again and takes nothing holds up nobody, and is cut off")
  @IO func slowReader() async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--client-output-buffer-limit", "normal 16mb 8mb 1"])
    let (client, other) = (try redis.client(), try redis.client())
    let queue = JobQueue(redis: client, keys: Keys(namespace: "slow"))
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    #expect(try await queue.submit(id: "a", task: "chat", payload: [1]) == .created)
    let claim = try await queue.claim(
      worker: "w", request: 1, nonce: "n", organicMax: 1, syntheticMax: 0, organicLeaseMilliseconds: 60_000,
      syntheticLeaseMilliseconds: 60_000)
    let grant = try #require(claim.grants.first)
    var position = ReplyPosition()
    func append(_ bytes: Int) async throws {
      let data = [UInt8](repeating: 65, count: bytes)
      #expect(try await queue.append("a", grant.token, at: position, [data]) == [:])
      position = position.after(bytes: bytes, tokens: 0)
    }
    try await append(1 << 20)
    // Asks for 64 MB, and takes none of it.
    let reader = try SilentReader(path: String(redis.url.dropFirst("unix://".count)))
    for _ in 0..<64 { reader.ask("XRANGE", queue.keys.reply("a"), "-", "+") }
    let limit = Monotonic.now().advanced(milliseconds: 30_000)
    while try await other.send("CLIENT", "LIST").text?.contains("cmd=xrange") == true {
      try #require(Monotonic.now() < limit, "the reader is still there")
      try await append(10)
      let newest = try await other.send("XREVRANGE", queue.keys.reply("a"), "+", "-", "COUNT", "1")
      #expect(newest[0]?[1]?.fields?["n"] == String(position.pieces))
    }
    #expect(
      try await queue.settle([Settlement(id: "a", token: grant.token, state: .done, attempts: [])]) == [.ok])
    reader.close()
    for each in [client, other] { each.close() }
    await redis.stop()
  }
}

/// A client that asks and never reads.
private struct SilentReader {
  private let fd: Int32

  struct Failed: Error {}

  init(path: String) throws {
    fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard code == 0 else { throw Failed() }
  }

  func ask(_ words: String...) {
    let text = "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
    _ = text.utf8.withContiguousStorageIfAvailable {
      Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  func close() { Glibc.close(fd) }
}
