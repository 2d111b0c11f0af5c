import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("Cancelling a user's request", .timeLimit(.minutes(5)))
struct OrganicCancelTests {
  @Test("at any moment: one end at once, the miner's socket closes within a second, and nobody is charged")
  @IO func anyMoment() async throws {
    let count = ProcessInfo.processInfo.environment["VISION_TEST_LONG"] == nil ? 200 : 2_000
    let seed = UInt64.random(in: 0 ... .max)
    try await OrganicBench.run(miners: 2) { bench in
      for miner in bench.miners {
        miner.paceMilliseconds = 5
        miner.act = { _ in .answer(30) }
      }
      try await bench.withWorker {
        var late: [Int] = []
        for start in stride(from: 0, to: count, by: 20) {
          let cancels = (start..<start + 20).map { number in
            IO.task { @IO in try await cancelOne(bench, number, seed) }
          }
          for cancel in cancels { late.append(try await cancel.value) }
          try await bench.until("every socket is closed") { bench.miners.allSatisfy { $0.open == 0 } }
        }
        late.sort()
        print(
          "\(count) cancels: all was over after \(late[count / 2]) ms in the median, "
            + "\(late[count * 99 / 100 - 1]) ms at p99, \(late[count - 1]) ms at most, seed \(seed)")
        #expect(late[late.count * 99 / 100 - 1] <= 1_000, "seed \(seed): \(late.suffix(5)) ms")
        let attempts = try await bench.attempts()
        #expect(attempts.allSatisfy { $0.outcome == .cancelled || $0.outcome == .ok }, "seed \(seed)")
        let charged = attempts.filter { $0.outcome == .cancelled }
        #expect(charged.count > count / 10, "seed \(seed): most were cancelled while they ran")
        #expect(charged.allSatisfy { $0.outcome.counter == .none && $0.workMilli == 0 })
        let abandoned = bench.miners.reduce(0) { $0 + $1.abandoned }
        #expect(abandoned > count / 10 && abandoned <= charged.count, "seed \(seed): \(abandoned)")
        #expect(scores(attempts) == scores(attempts.filter { $0.outcome != .cancelled }), "seed \(seed)")
        let usage = try await bench.queue.redis.send(
          "HGET", bench.queue.keys.fixed(.usage), "me|chat|completion_tokens")
        #expect(usage.int ?? 0 > 0, "what was shown counts as used")
      }
    }
  }

  /// The score by these attempts of each miner that has one.
  private func scores(_ attempts: [AttemptEntry]) -> [String: Double] {
    Dictionary(grouping: attempts, by: \.hotkey).compactMapValues { attempts in
      var counters = PeriodCounters()
      for attempt in attempts { counters.count(attempt.outcome, workMilli: attempt.workMilli) }
      return ScoringProfile.vision.periodScore(counters, capacity: 1_000)
    }
  }

  /// Pushes a request, cancels it at a random moment, and returns after how many ms its end was there and no
  /// miner worked for it any more.
  @IO private func cancelOne(_ bench: OrganicBench, _ number: Int, _ seed: UInt64) async throws -> Int {
    var random = SeededRandom(seed: seed, String(number))
    let id = "c\(number)"
    let result = try await bench.queue.submit(
      id: id, task: OrganicBench.chat, payload: Array(OrganicBench.payload.utf8), account: "me")
    #expect(result == .created)
    await EventLoop.shared.sleep(milliseconds: random.below(220))
    let started = Monotonic.now()
    let state = try await bench.queue.cancel(id: id)
    let reply = try await bench.wholeReply(id)
    let ends = reply.entries.filter { $0["end"] != nil }
    #expect(ends.count == 1 && ends[0]["end"] == state && reply.last["end"] == state, "seed \(seed) \(id)")
    #expect(reply.fault == nil, "seed \(seed) \(id): \(reply.fault ?? "")")
    // The worker's record of the attempt is there once it let go of the miner.
    let key = bench.queue.keys.job(id)
    try await bench.until("\(id) is settled") {
      let job = try await bench.queue.redis.send("HMGET", key, "state", "token")
      return job[0]?.text != "cancelled" || job[1]?.text == nil
    }
    return Monotonic.now().milliseconds(since: started)
  }

  @Test("closes the miner's socket, wherever the request runs")
  @IO func socket() async throws {
    try await OrganicBench.run(miners: 1, stall: 10_000) { bench in
      let miner = bench.miners[0]
      miner.act = { $0 == 0 ? .silent(after: 0) : .silent(after: 2) }
      let workers = [try bench.work(["--slots", "2"]), try bench.work(["--slots", "2"])]
      for (index, id) in ["before", "during"].enumerated() {
        _ = try await bench.queue.submit(
          id: id, task: OrganicBench.chat, payload: Array(OrganicBench.payload.utf8))
        try await bench.until("asked") { miner.bodies.count == index + 1 }
        if index == 1 {
          try await bench.until("text") {
            try await bench.queue.redis.send("EXISTS", bench.queue.keys.reply(id)).int == 1
          }
        }
        let started = Monotonic.now()
        #expect(try await bench.queue.cancel(id: id) == "cancelled")
        try await bench.until("closed") { miner.abandoned == index + 1 }
        let elapsed = Monotonic.now().milliseconds(since: started)
        #expect(elapsed < 1_000, "\(elapsed) ms")
        try await bench.until("settled") { try await bench.outcomes(id) == [.cancelled] }
      }
      for worker in workers { await worker.stop() }
    }
  }

  @Test("before a worker has it, nobody is asked")
  @IO func waiting() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      _ = try await bench.queue.submit(
        id: "a", task: OrganicBench.chat, payload: Array(OrganicBench.payload.utf8))
      #expect(try await bench.queue.cancel(id: "a") == "cancelled")
      try await bench.withWorker {
        let other = try await bench.ask("b")
        #expect(other.last["end"] == "done")
        #expect(bench.miners[0].bodies.count == 1)
        #expect(try await bench.wholeReply("a").entries == [["end": "cancelled"]])
      }
    }
  }
}
