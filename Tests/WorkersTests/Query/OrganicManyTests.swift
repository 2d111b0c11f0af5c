import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

/// Many users' requests at eight miners of which every other one fails in every way. 600 of them, or 10,000
/// with `VISION_TEST_LONG=1`.
@Suite("Many users' requests among failing miners", .timeLimit(.minutes(10)))
struct OrganicManyTests {
  private static let count = ProcessInfo.processInfo.environment["VISION_TEST_LONG"] == nil ? 600 : 10_000
  private static let seed = UInt64.random(in: 0 ... .max)
  /// Each tenth answer is asked for as a whole.
  private static func streams(_ number: Int) -> Bool { number % 10 != 0 }

  @Test("every reply has one end, no gap, nothing twice and one miner's text, and all that can succeed do")
  @IO func many() async throws {
    try await OrganicBench.run(miners: 8, firstContent: 500, stall: 500) { bench in
      for miner in bench.miners { miner.act = { Self.act(of: miner.uid, number: $0) } }
      let workers = [try bench.work(), try bench.work()]
      var replies: [UserReply] = []
      for start in stride(from: 0, to: Self.count, by: 100) {
        let asks = (start..<start + 100).map { number in
          IO.task { @IO in try await bench.ask("r\(number)", streams: Self.streams(number)) }
        }
        for ask in asks { replies.append(try await ask.value) }
      }
      for worker in workers { await worker.stop() }
      let attempts = Dictionary(grouping: try await bench.attempts(), by: \.job)
      var tally = Tally()
      for (number, reply) in replies.enumerated() {
        let isStream = Self.streams(number)
        let fault = isStream ? reply.fault : reply.wholeFault
        #expect(fault == nil, "seed \(Self.seed) \(reply.id): \(fault ?? "")")
        let story = Self.story(reply, isStream: isStream, attempts[reply.id] ?? [])
        #expect(story == nil, "seed \(Self.seed) \(reply.id): \(story ?? "")")
        tally.count(reply, isStream: isStream)
      }
      print("\(tally.line), seed \(Self.seed)")
      #expect(tally.failed.count * 200 <= Self.count - tally.broken, "\(tally.failed.prefix(5))")
      // The router learns which miners break answers in the middle: a miner drawn evenly would break one in
      // seven.
      #expect(tally.broken * 10 < Self.count)
    }
  }

  /// What a miner does: those with an even uid are able.
  private static func act(of uid: Int, number: Int) -> ScriptedMiner.Act {
    var random = SeededRandom(seed: seed, String(uid), String(number))
    guard uid % 2 == 1 else { return .answer(1 + random.below(12)) }
    let faults: [ScriptedMiner.Act] = [
      .status(429), .status(500), .closes(after: 0), .silent(after: 0), .error(after: 2),
      .closes(after: 2), .silent(after: 2), .answer(3), .answer(3), .answer(3),
    ]
    return faults[random.below(faults.count)]
  }

  /// Where the reply and the ledger tell different stories; nil when they tell the same.
  private static func story(_ reply: UserReply, isStream: Bool, _ attempts: [AttemptEntry]) -> String? {
    let good = attempts.filter { $0.outcome == .ok }
    let isDone = reply.last["end"] == "done"
    if good.count != (isDone ? 1 : 0) { return "\(attempts.map(\.outcome)), but \(reply.last)" }
    if !isDone { return reply.last["end"] == "error" ? nil : "ends as \(reply.last)" }
    let text = isStream ? reply.text : reply.wholeText
    let miner = text.split(separator: ".").first
    if miner != reply.last["uid"].map({ "m\($0)" }) { return "text of \(text), but \(reply.last)" }
    let tokens = text.split(separator: " ").count
    return reply.last["completion_tokens"] == String(tokens) ? nil : "\(tokens) tokens, but \(reply.last)"
  }

  /// How the requests ended.
  private struct Tally {
    var done = 0
    /// Text was shown when the miner failed: it is not begun again.
    var broken = 0
    /// Nothing was shown, and no miner answered.
    var failed: [[String: String]] = []

    mutating func count(_ reply: UserReply, isStream: Bool) {
      if reply.last["end"] == "done" {
        done += 1
      } else if (isStream ? reply.text : reply.wholeText).isEmpty {
        failed.append(reply.last)
      } else {
        broken += 1
      }
    }

    var line: String {
      let able = Double(done) / Double(done + failed.count)
      return "\(done + broken + failed.count) users' requests: \(done) done, \(broken) broken in mid-stream, "
        + "\(failed.count) failed before any text; done of all that were not broken "
        + String(format: "%.4f", able)
    }
  }
}
