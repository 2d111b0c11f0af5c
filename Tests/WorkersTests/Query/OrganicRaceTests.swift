import Common
import TestSupport
import Testing

@testable import Workers

@Suite("Attempts beside each other")
@IO
struct OrganicRaceTests {
  private func run() throws -> AttemptRun {
    AttemptRun(
      task: try .make(name: "chat"), parameters: QueryParameters(), limits: .init(), keepsAnswer: false,
      relay: nil)
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

  @Test("once one of them ended, no other begins")
  func closes() throws {
    let race = OrganicRace(reply: .init(id: "a", token: "t"))
    race.enter(try run())
    race.leave()
    #expect(!race.isOpen)
  }
}
