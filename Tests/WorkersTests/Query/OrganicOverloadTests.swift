import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("Users' requests beyond what can be served", .timeLimit(.minutes(2)))
struct OrganicOverloadTests {
  @Test("are served oldest first or refused at once, and what was taken all ends")
  @IO func overload() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      let miner = bench.miners[0]
      miner.act = { _ in .answer(3) }
      miner.paceMilliseconds = 1
      try await bench.queue.publish(DoorLimits(waitingMax: 20, payloadBytesMax: 10_000))
      // One request at a time, several times slower than they come.
      try await bench.withWorker(["--slots", "1", "--reserved-share", "1"]) {
        var taken: [Int] = []
        var refused: [Int] = []
        while taken.count < 150 {
          let number = taken.count + refused.count
          try #require(number < 20_000, "\(taken.count) were taken")
          switch try await bench.queue.submit(
            id: "r\(number)", task: OrganicBench.chat, payload: Array(Self.payload(number).utf8))
          {
          case .created: taken.append(number)
          case .refused(let refusal) where refusal.reason == "full": refused.append(number)
          case let other: Issue.record("\(number): \(other)")
          }
        }
        #expect(refused.count > 50, "it was not overloaded")
        for number in taken {
          let reply = try await bench.wholeReply("r\(number)")
          #expect(reply.last["end"] == "done" && reply.fault == nil, "r\(number): \(reply.entries)")
        }
        let served = miner.bodies.compactMap { body in
          String(decoding: body, as: UTF8.self).firstMatch(of: /number (\d+)\./).flatMap { Int($0.1) }
        }
        #expect(served == taken, "in order of admission, each one once")
        for number in refused.prefix(50) {
          #expect(try await bench.queue.status(id: "r\(number)") == nil, "nothing is remembered of it")
        }
      }
    }
  }

  private static func payload(_ number: Int) -> String {
    #"{"messages":[{"role":"user","content":"Tell me about number \#(number)."}]}"#
  }
}
