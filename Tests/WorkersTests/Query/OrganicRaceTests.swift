import Common
import TestSupport
import Testing

@testable import Workers

@Suite("Attempts beside each other")
@IO
struct OrganicRaceTests {
  private func run() throws -> AttemptRun {
    AttemptRun(
      task: LoadedTask(try .make(name: "chat")), hotkey: "5Miner", parameters: QueryParameters(),
      limits: .init(), keepsAnswer: false, sink: nil)
  }

  @Test("the first content is the answer, also for those that enter later")
  func firstWins() throws {
    let race = OrganicRace(reply: try reply()) { _ in }
    let (first, late) = (try run(), try run())
    race.enter(first)
    #expect(race.isOpen)
    #expect(race.claim(first) && race.claim(first))
    #expect(!race.isOpen, "nobody else need be asked")
    race.enter(late)
    #expect(!race.claim(late))
  }

  @Test("once one of them ended, no other begins; when all did, that is said once, with how")
  func closes() throws {
    var ended: [[Outcome]] = []
    let race = OrganicRace(reply: try reply()) { ended.append($0.map(\.result.outcome)) }
    race.begin()
    race.begin()
    race.end(try end(.serverError))
    #expect(!race.isOpen)
    #expect(ended.isEmpty)
    race.end(try end(.ok))
    #expect(ended == [[.serverError, .ok]])
  }

  /// Nothing is written to it, so nothing connects.
  private func reply() throws -> ReplyWriter.Reply {
    let redis = RedisClient(
      address: try RedisAddress(url: "redis://127.0.0.1:1"), options: .init(name: "test"))
    let queue = JobQueue(redis: redis, keys: Keys(namespace: "test"))
    return .init(
      id: "a", token: "t", writer: ReplyWriter(queue: queue, worker: "w", replyBytesMax: 1_000))
  }

  private func end(_ outcome: Outcome) throws -> AttemptEnd {
    let period = LoadedPeriod(snapshot: try .make(startMilliseconds: 0, counts: [[1]]), seed: 1)
    return AttemptEnd(
      target: .init(period: period, taskIndex: 0, miner: 0), result: AttemptResult(outcome: outcome), body: []
    )
  }
}
