import Common
import Testing

@testable import Workers

@Suite("The life of a check")
struct CheckMachineTests {
  static let limits = CheckMachine.Limits()

  static func posted(_ answer: PostAnswer, tries: Int = 0) -> CheckMachine.Step {
    var machine = CheckMachine(limits: limits, tries: tries)
    #expect(machine.begin(isKnown: false) == .post)
    return machine.posted(answer)
  }

  /// A machine whose check a server took, and which asks for the verdict. `tries` counts this one.
  static func polling(tries: Int = 1) -> CheckMachine {
    var machine = CheckMachine(limits: limits, tries: tries - 1)
    _ = machine.begin(isKnown: false)
    #expect(machine.posted(.accepted(remoteID: "r")) == .note(remoteID: "r", tries: tries))
    #expect(machine.noted() == .poll(afterMilliseconds: 3_000))
    return machine
  }

  static func polled(_ answer: PollAnswer, tries: Int = 1) -> CheckMachine.Step {
    var machine = polling(tries: tries)
    return machine.polled(answer)
  }

  static func end(
    _ result: CheckMachine.Result, _ server: ServerHealth.Sign, _ reason: String = ""
  ) -> CheckMachine.Step {
    .end(.init(result: result, server: server, reason: reason))
  }

  @Test("a verdict settles it: a score, none, or a failure")
  func verdicts() {
    #expect(Self.polled(.judged(-3)) == Self.end(.settle(.judged(-3)), .fine))
    #expect(Self.polled(.unjudged("why")) == Self.end(.settle(.unjudged), .fine, "why"))
    var machine = Self.polling()
    for _ in 0..<5 { #expect(machine.polled(.processing) == .poll(afterMilliseconds: 3_000)) }
    #expect(machine.polled(.judged(1)) == Self.end(.settle(.judged(1)), .fine))
  }

  @Test("a busy server's name for somebody else's check is never asked for; the check waits, untried")
  func busy() {
    #expect(Self.posted(.busy) == Self.end(.handBack(afterMilliseconds: 20_000), .busy))
    #expect(Self.posted(.busy, tries: 4) == Self.end(.handBack(afterMilliseconds: 20_000), .busy))
  }

  @Test("a check that an earlier holder posted is asked for and not posted again")
  func resumed() {
    var machine = CheckMachine(limits: Self.limits, tries: 1)
    #expect(machine.begin(isKnown: true) == .poll(afterMilliseconds: 0))
    #expect(machine.polled(.judged(0.5)) == Self.end(.settle(.judged(0.5)), .fine))
    machine = CheckMachine(limits: Self.limits, tries: 1)
    _ = machine.begin(isKnown: true)
    #expect(machine.polled(.gone) == .post, "its verdict was read by somebody and lost")
    #expect(machine.posted(.accepted(remoteID: "s")) == .note(remoteID: "s", tries: 2))
  }

  @Test("a server that was not reached costs the check nothing, however often")
  func unreachable() {
    for tries in [0, 4, 100] {
      let expected = Self.end(.handBack(afterMilliseconds: 0), .failed, "down")
      #expect(Self.posted(.unreachable("down"), tries: tries) == expected)
    }
    var machine = Self.polling(tries: 5)
    #expect(machine.polled(.unreachable("down")) == .poll(afterMilliseconds: 3_000))
    #expect(machine.polled(.unreachable("down")) == .poll(afterMilliseconds: 3_000))
    let expected = Self.end(.handBack(afterMilliseconds: 0), .failed, "down")
    #expect(machine.polled(.unreachable("down")) == expected, "its name is kept")
  }

  @Test("a check that the server refuses has failed at once, with the server's words")
  func refused() {
    let expected = Self.end(.settle(.failed), .troubled, "the server refused the check: missing")
    #expect(Self.posted(.refused(detail: "missing")) == expected)
  }

  @Test("a post that the server breaks over counts as a try, and the last try is the fifth")
  func brokenPost() {
    for tries in 0..<4 {
      let expected = Self.end(
        .startOver(afterMilliseconds: 3_000, tries: tries + 1), .failed, "status 500")
      #expect(Self.posted(.broken("status 500"), tries: tries) == expected)
    }
    let expected = Self.end(.settle(.failed), .failed, "status 500")
    #expect(Self.posted(.broken("status 500"), tries: 4) == expected)
  }

  @Test("a lost verdict means that the check is posted again, five times in all")
  func gone() {
    var machine = Self.polling(tries: 1)
    for tries in 2...5 {
      #expect(machine.polled(.broken("cut")) == .poll(afterMilliseconds: 3_000), "it may still be there")
      #expect(machine.polled(.gone) == .post)
      #expect(machine.posted(.accepted(remoteID: "r")) == .note(remoteID: "r", tries: tries))
      _ = machine.noted()
    }
    guard case .end(let ending) = machine.polled(.gone) else {
      Issue.record("a sixth try")
      return
    }
    #expect(ending.result == .settle(.failed) && ending.server == .troubled)
  }

  @Test("three useless answers in a row count as a lost verdict; one in between does not")
  func brokenPolls() {
    var machine = Self.polling()
    for _ in 0..<5 {
      #expect(machine.polled(.broken("500")) == .poll(afterMilliseconds: 3_000))
      #expect(machine.polled(.broken("500")) == .poll(afterMilliseconds: 3_000))
      #expect(machine.polled(.processing) == .poll(afterMilliseconds: 3_000))
    }
    _ = machine.polled(.broken("500"))
    _ = machine.polled(.broken("500"))
    #expect(machine.polled(.broken("500")) == .post)
  }

  @Test("a crash of the checker is tried once more, later, and posted anew")
  func crashed() {
    let again = Self.end(.startOver(afterMilliseconds: 60_000, tries: 1), .troubled, "trace")
    #expect(Self.polled(.crashed("trace")) == again)
    #expect(Self.polled(.crashed("trace"), tries: 2) == Self.end(.settle(.failed), .troubled, "trace"))
  }

  @Test("somebody else's score is never ours: tried again later, at most five times")
  func foreign() {
    for (tries, wait) in [(1, 60_000), (2, 120_000), (3, 240_000), (4, 300_000)] {
      let expected = Self.end(.startOver(afterMilliseconds: wait, tries: tries), .troubled, "node")
      #expect(Self.polled(.foreign("node"), tries: tries) == expected)
    }
    #expect(Self.polled(.foreign("node"), tries: 5) == Self.end(.settle(.failed), .troubled, "node"))
  }

  @Test("a check that never ends is given up after half an hour, and begins anew elsewhere")
  func endless() {
    var machine = Self.polling()
    for _ in 1..<600 { #expect(machine.polled(.processing) == .poll(afterMilliseconds: 3_000)) }
    guard case .end(let ending) = machine.polled(.processing) else {
      Issue.record("it is still asked for")
      return
    }
    #expect(ending.result == .startOver(afterMilliseconds: 3_000, tries: 1) && ending.server == .failed)
  }

  @Test("whatever servers answer, a check ends, with at most five tries, and a Busy is never polled")
  func anything() {
    let posts: [PostAnswer] = [
      .accepted(remoteID: "r"), .accepted(remoteID: "r"), .busy, .refused(detail: ""), .broken(""),
      .unreachable(""),
    ]
    let polls: [PollAnswer] = [
      .processing, .processing, .judged(1), .unjudged(""), .crashed(""), .foreign(""), .gone, .gone,
      .broken(""), .unreachable(""),
    ]
    for seed in UInt64(0)..<2_000 {
      var random = SeededRandom(seed: seed)
      var machine = CheckMachine(limits: Self.limits, tries: random.below(5))
      var step = machine.begin(isKnown: random.below(2) == 0)
      var steps = 0
      while steps < 10_000 {
        steps += 1
        switch step {
        case .post: step = machine.posted(posts[random.below(posts.count)])
        case .note(_, let tries):
          #expect(tries <= 5, "seed \(seed)")
          step = machine.noted()
        case .poll: step = machine.polled(polls[random.below(polls.count)])
        case .end: steps = .max
        }
      }
      #expect(steps == .max, "seed \(seed) does not end")
    }
  }
}
