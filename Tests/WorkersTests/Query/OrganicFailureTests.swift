import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("A user's request when something fails", .timeLimit(.minutes(5)))
struct OrganicFailureTests {
  @Test(
    "a miner that fails before the first text is replaced by another one",
    arguments: [
      (ScriptedMiner.Act.status(429), Outcome.rateLimited), (.status(500), .serverError),
      (.status(404), .refused), (.closes(after: 0), .truncated), (.error(after: 0), .serverError),
      (.silent(after: 0), .firstContentTimeout), (.picture, .serverError),
    ])
  @IO func failsOver(act: ScriptedMiner.Act, outcome: Outcome) async throws {
    try await OrganicBench.run(miners: 2, firstContent: 300) { bench in
      bench.oneFails(act)
      try await bench.withWorker {
        let reply = try await bench.ask("a")
        #expect(reply.fault == nil && reply.last["end"] == "done", "\(reply.entries)")
        #expect(reply.text.split(separator: " ").count == 5 && !reply.hasErrorEvent)
        #expect(try await bench.outcomes("a") == [outcome, .ok])
      }
    }
  }

  @Test(
    "a stream that fails in the middle ends with an error event and the usage so far, and begins nowhere else",
    arguments: [
      (ScriptedMiner.Act.closes(after: 3), Outcome.truncated), (.error(after: 3), .serverError),
      (.silent(after: 3), .stallTimeout),
    ])
  @IO func failsInTheMiddle(act: ScriptedMiner.Act, outcome: Outcome) async throws {
    try await OrganicBench.run(miners: 2, stall: 300) { bench in
      bench.oneFails(act)
      try await bench.withWorker {
        let reply = try await bench.ask("a")
        #expect(reply.fault == nil && reply.last["end"] == "error" && reply.last["status"] == "502")
        #expect(reply.text.split(separator: " ").count == 3)
        #expect(reply.events.last?.hasPrefix(#"{"error":{"message":"#) == true, "\(reply.events)")
        #expect(reply.last["completion_tokens"] == "3")
        #expect(try await bench.outcomes("a") == [outcome])
        let miners = bench.miners
        try await bench.until("the socket is closed") { miners.allSatisfy { $0.open == 0 } }
      }
    }
  }

  @Test("when no miner is able the user learns why, and nothing else comes")
  @IO func noneIsAble() async throws {
    try await OrganicBench.run(miners: 2) { bench in
      for miner in bench.miners { miner.act = { _ in .status(429) } }
      try await bench.withWorker {
        let busy = try await bench.ask("a")
        #expect(busy.entries.count == 1 && busy.last["end"] == "error" && busy.last["status"] == "429")
        let unreadable = try await bench.ask(
          "b", #"{"messages":[{"role":"user","content":"x"}],"max_completion_tokens":0}"#)
        #expect(unreadable.last["status"] == "400")
        #expect(unreadable.last["error"]?.hasPrefix("max_completion_tokens: ") == true)
      }
    }
  }

  @Test("a deadline that passes ends the reply with expired, and is no fault of the miner")
  @IO func deadline() async throws {
    try await OrganicBench.run(miners: 1, firstContent: 5_000, stall: 5_000) { bench in
      bench.miners[0].act = { $0 == 0 ? .silent(after: 0) : .silent(after: 2) }
      try await bench.withWorker {
        let before = try await bench.ask("a", allowed: 400)
        #expect(before.last["end"] == "expired" && before.entries.count == 1, "\(before.entries)")
        #expect(before.last["status"] == "504")
        let during = try await bench.ask("b", allowed: 400)
        #expect(during.last["end"] == "expired" && during.hasErrorEvent, "\(during.entries)")
        #expect(during.last["completion_tokens"] == "2" && during.fault == nil)
        #expect(try await bench.attempts().map(\.outcome) == [.cancelled, .cancelled])
      }
      _ = try await bench.queue.pause("organic", true)
      try await bench.withWorker {
        let waiting = try await bench.ask("c", allowed: 50)
        #expect(waiting.entries.count == 1 && waiting.last["end"] == "expired")
        #expect(waiting.last["error"] == "the deadline passed before a worker was free")
      }
    }
  }

  @Test("when a worker dies, a request without text is run again, and one with text ends as interrupted")
  @IO func workerDies() async throws {
    try await OrganicBench.run(miners: 1, firstContent: 20_000, stall: 20_000, total: 30_000) { bench in
      let miner = bench.miners[0]
      miner.act = { $0 < 2 ? .silent(after: $0 == 0 ? 3 : 0) : .answer(5) }
      let program = BuiltProgram("vision-workers").path
      let child = try ChildProcess(
        ChildCommand([program] + bench.arguments(), adding: TestRedis.environment(as: .worker)),
        stdout: .discarded, stderr: .discarded)
      for (number, id) in ["text", "none"].enumerated() {
        let result = try await bench.queue.submit(
          id: id, task: OrganicBench.chat, payload: Array(OrganicBench.payload.utf8), account: "me")
        #expect(result == .created)
        try await bench.until("\(id) is asked") { miner.bodies.count == number + 1 }
      }
      try await bench.until("text is there") {
        try await bench.queue.redis.send("EXISTS", bench.queue.keys.reply("text")).int == 1
      }
      child.signal(SIGKILL)
      _ = await child.waitForExit()
      try await bench.withWorker {
        let text = try await bench.wholeReply("text")
        #expect(text.last["end"] == "interrupted" && text.fault == nil)
        #expect(text.text.split(separator: " ").count == 3 && text.last["completion_tokens"] == "3")
        let none = try await bench.wholeReply("none")
        #expect(none.last["end"] == "done" && none.fault == nil && none.text.hasPrefix("m10.2.0 "))
        let usage = try await bench.queue.redis.send(
          "HGET", bench.queue.keys.fixed(.usage), "me|chat|completion_tokens")
        #expect(usage.int == 8)
      }
    }
  }
}
