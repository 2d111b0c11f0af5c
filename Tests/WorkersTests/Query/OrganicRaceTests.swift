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
      limits: .init(), keepsAnswer: false, relay: nil)
  }

  @Test("the first content is the answer, also for those that enter later")
  func firstWins() throws {
    let race = OrganicRace(reply: .init(id: "a", token: "t"))
    let (first, late) = (try run(), try run())
    race.enter(first)
    #expect(race.isOpen)
    #expect(race.claim(first) && race.claim(first))
    #expect(!race.isOpen, "nobody else need be asked")
    race.enter(late)
    #expect(!race.claim(late))
  }

  @Test("once one of them ended, no other begins; when all did, whoever waits knows how")
  func closes() async throws {
    let race = OrganicRace(reply: .init(id: "a", token: "t"))
    race.begin()
    race.begin()
    race.end(try end(.serverError))
    #expect(!race.isOpen)
    var hasBegun = false
    let waiting = IO.task { @IO in
      hasBegun = true
      return await race.wait().map(\.result.outcome)
    }
    while !hasBegun { await Task.yield() }
    race.end(try end(.ok))
    #expect(await waiting.value == [.serverError, .ok])
    #expect(await race.wait().count == 2, "also for those that come later")
  }

  private func end(_ outcome: Outcome) throws -> AttemptEnd {
    let period = LoadedPeriod(snapshot: try .make(startMilliseconds: 0, counts: [[1]]), seed: 1)
    return AttemptEnd(
      target: .init(period: period, taskIndex: 0, miner: 0), result: AttemptResult(outcome: outcome), body: []
    )
  }
}
