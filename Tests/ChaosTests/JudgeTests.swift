import Common
import Foundation
import TestSupport
import Testing

@testable import Workers
@testable import vision_chaos

@Suite("The judge of the chaos cases")
struct JudgeTests {
  /// The verdict on evidence of these lines; the seed of the plan is 5.
  func judge(_ lines: String...) throws -> Judge {
    let path = FileManager.default.temporaryDirectory.path + "/evidence-\(UInt64.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    return try Judge(reading: path, periodSeed: 5)
  }

  @Test("finds a request that was accepted and never ended, and no other")
  func lost() throws {
    let judge = try judge(
      "1 user asked a 7", "2 user accepted a", "1 user asked b 8", "2 user accepted b",
      "9 user ended b done 3 whole", "3 user asked c 9", "4 user refused c full 1")
    #expect(judge.lostRequests == ["a"])
  }

  @Test("finds a planned query that nothing settles, and one that is settled twice")
  func settlements() throws {
    let judge = try judge(
      "1 plan s:1:chat:0:0 5", "1 plan s:1:chat:0:1 5", "1 plan s:1:chat:0:2 5",
      "8 final 6-0 attempt s:1:chat:0:0 ok 1 9", "8 final 7-0 attempt s:1:chat:0:1 stall_timeout 1 9",
      "8 final 7-1 skip s:1:chat:0:1 expired 1")
    #expect(judge.lostQueries == ["s:1:chat:0:2"])
    #expect(judge.doubled == ["s:1:chat:0:1"])
  }

  @Test("finds two good answers to one request, and two endings")
  func doubles() throws {
    let judge = try judge(
      "1 user asked a 7", "2 user accepted a", "3 user ended a done 3 whole",
      "8 final 6-0 attempt a ok 0 9", "8 final 6-1 attempt a ok 0 9", "1 user asked b 8",
      "3 user ended b done 3 whole", "4 user ended b done 3 whole")
    #expect(judge.doubled == ["a", "b"])
  }

  @Test("finds an answer in the ledger that no miner gave")
  func unearned() throws {
    let judge = try judge(
      "1 user asked a 7", "2 miner began 7 0", "3 miner ended 7 5", "1 user asked b 8", "2 miner began 8 0",
      "8 final 6-0 attempt a ok 0 9", "8 final 6-1 attempt b ok 0 9")
    #expect(judge.unearned == ["b"])
  }

  @Test("finds torn replies and what comes after an end")
  func broken() throws {
    let judge = try judge(
      "3 user ended a done 3 torn", "3 user ended b done 3 whole", "4 user after-end b",
      "3 user ended c done 3 whole")
    #expect(judge.broken == ["a", "b"])
  }

  @Test("measures lateness, takeovers and gaps from what miners saw")
  func times() throws {
    let probe = try judge()
    let seed = try #require(probe.seed(of: "s:1:chat:0:0"))
    let judge = try judge(
      "1 plan s:1:chat:0:0 100", "103 miner began \(seed) 0", "200 fault killed s:1:chat:0:0",
      "700 miner began \(seed) 0", "710 miner ended \(seed) 5")
    #expect(judge.latenesses == [3])
    #expect(judge.takeovers == [500])
    #expect(judge.reruns == 1)
    #expect(judge.longestGap(from: 0, to: 1_000) == 597)
    #expect(judge.resumptions(after: judge.times(of: "killed")) == [500])
  }

  @Test(
    "a second request beside a silent miner is no rerun, for the ledger tells of it and the miner saw it go")
  func reruns() throws {
    let judge = try judge(
      "1 user asked a 7", "2 miner began 7 0", "3 miner began 7 0", "4 miner left 7 0",
      "8 final 6-0 attempt a cancelled 0 1", "8 final 6-1 attempt a ok 0 9",
      "1 user asked b 8", "2 miner began 8 0", "3 miner began 8 0", "8 final 6-2 attempt b ok 0 9",
      "1 user asked c 9", "2 miner began 9 0", "3 miner began 9 0", "8 final 6-3 attempt c cancelled 0 0",
      "8 final 6-4 attempt c ok 0 9")
    #expect(judge.reruns == 2, "b ran again without a word, and c's second request reached nobody")
  }

  @Test("planned queries are known by the seed that workers give to miners")
  func seeds() throws {
    let job = SyntheticJob(period: PeriodID(startSeconds: 1), task: "chat", miner: 3, number: 4)
    let parameters = SyntheticQuery(corpus: .builtIn)
      .parameters(try TaskConfig.make(name: "chat"), job: job, seed: 5)
    #expect(try judge().seed(of: job.description) == parameters.seed)
    #expect(try judge().seed(of: "unheard-of") == nil)
  }

  @Test("entries that were there once and are gone at the end are told")
  func vanished() throws {
    let judge = try judge(
      "1 ledger 6-0 attempt a ok 0 9", "1 ledger 6-1 attempt b ok 0 9", "9 final 6-0 attempt a ok 0 9")
    #expect(judge.vanished.map(\.job) == ["b"])
  }
}
