import Glibc
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("Users' requests among real miners")
struct OrganicRoutingTests {
  @Test("a silent miner is not waited for: a second one is asked, and the silent one's socket is closed")
  @IO func hedged() async throws {
    try await RouteBench.run(miners: 2) { bench in
      bench.miners[0].order = .silent
      bench.miners[1].order = .silent
      try await bench.withWorker {
        let answer = Task { @IO in try await bench.ask() }
        try await bench.until { bench.miners[0].requests + bench.miners[1].requests == 1 }
        // Whoever is asked first stays silent; the other one answers.
        let second = bench.miners[0].requests == 0 ? 0 : 1
        bench.miners[second].order = .answers
        let (text, end) = try await answer.value
        #expect(end["end"] == "done" && end["uid"] == "\(second)")
        #expect(text.contains("m\(second) ") && !text.contains("m\(1 - second) "))
        try await bench.until { bench.miners[1 - second].disconnects == 1 }
        // The winner's entry comes last: a check is about it.
        #expect(try await bench.attempts() == ["hk\(1 - second) cancelled", "hk\(second) ok"])
      }
    }
  }

  @Test("without leave for second requests a silent miner is waited for, as its task says")
  @IO func notHedged() async throws {
    try await RouteBench.run(miners: 2) { bench in
      bench.miners[0].order = .silent
      bench.miners[1].order = .silent
      try await bench.withWorker(["--hedge-share", "0"]) {
        let answer = Task { @IO in try await bench.ask() }
        try await bench.until { bench.miners[0].requests + bench.miners[1].requests == 1 }
        let second = bench.miners[0].requests == 0 ? 0 : 1
        bench.miners[second].order = .answers
        #expect(try await answer.value.end["end"] == "done")
        #expect(
          try await bench.attempts() == ["hk\(1 - second) first_content_timeout", "hk\(second) ok"])
      }
    }
  }

  @Test(
    "a miner that fails before its first content leaves no trace in the answer", arguments: [false, true])
  @IO func failover(isRoleOnly: Bool) async throws {
    try await RouteBench.run(miners: 2) { bench in
      bench.miners[0].order = isRoleOnly ? .roleOnly : .roleThenError
      try await bench.withWorker {
        repeat {
          let (text, end) = try await bench.ask()
          #expect(end["end"] == "done")
          #expect(text.components(separatedBy: "assistant").count == 2, "one role, of one miner: \(text)")
          #expect(text.components(separatedBy: "m1 ").count == 4)
        } while bench.miners[0].requests == 0
      }
    }
  }

  @Test("a user's work counts against the miner's claim, and who claimed no more is asked last")
  @IO func volumes() async throws {
    try await RouteBench.run(miners: 2) { bench in
      let period = try #require(try await bench.queue.openPeriods().first)
      _ = try await bench.queue.redis.send(
        "HSET", bench.queue.keys.volume(period), "used:chat:0", "1000000000")
      try await bench.withWorker {
        #expect(try await bench.ask().end["end"] == "done")
        // The worker reads the volumes with the exchange that tells of this.
        try await bench.until {
          let told = [try await bench.told(of: "hk0"), try await bench.told(of: "hk1")]
          return told.contains { $0 != nil }
        }
        await EventLoop.shared.sleep(milliseconds: MinerRouting.intervalMilliseconds)
        let before = bench.miners[0].requests
        for _ in 0..<20 { #expect(try await bench.ask().end["end"] == "done") }
        #expect(bench.miners[0].requests == before)
        bench.miners[1].order = .broken
        #expect(try await bench.ask().end["end"] == "done", "better than refusing the user")
      }
    }
  }

  @Test("a miner that failed at one worker is avoided by another, which never asked it")
  @IO func shared() async throws {
    try await RouteBench.run(miners: 4) { bench in
      bench.miners[0].order = .full(retryAfterSeconds: 120)
      let first = try bench.start()
      try await bench.until {
        #expect(try await bench.ask().end["end"] == "done")
        return try await bench.told(of: "hk0").map { $0.1.pausedMilliseconds > 60_000 } ?? false
      }
      let teller = try #require(try await bench.told(of: "hk0")).worker
      #expect(bench.miners[0].requests == 1, "the first worker itself asked it once")
      let second = try bench.start()
      try await bench.until { try await bench.workersThatLeaveOneOut(but: teller) == 1 }
      first.signal(SIGKILL)
      for _ in 0..<30 { #expect(try await bench.ask().end["end"] == "done") }
      #expect(bench.miners[0].requests == 1)
      bench.miners[0].order = .answers
      await second.terminate(graceMilliseconds: 5_000)
      _ = try await bench.until { first.status != nil }
    }
  }

  @Test("a miner that a checking server found wrong is not asked any more, within a second or two")
  @IO func quarantined() async throws {
    try await RouteBench.run(miners: 2) { bench in
      try await bench.withWorker {
        #expect(try await bench.ask().end["end"] == "done")
        // As settle_check writes it (QueueRouteTests).
        let key = bench.queue.keys.quality("chat")
        _ = try await bench.queue.redis.send("HSET", key, "hk0", "0.100000 5", "", "1")
        // Known once a request after the next exchange goes elsewhere; two exchanges are enough.
        await EventLoop.shared.sleep(milliseconds: 3 * MinerRouting.intervalMilliseconds)
        let before = bench.miners[0].requests
        for _ in 0..<20 { #expect(try await bench.ask().end["uid"] == "1") }
        #expect(bench.miners[0].requests == before)
      }
    }
  }
}
