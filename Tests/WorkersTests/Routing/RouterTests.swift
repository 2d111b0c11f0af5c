import Common
import Testing

@testable import Workers

@Suite("The router")
struct RouterTests {
  static let names = (0..<6).map { "miner-\($0)" }
  static let candidates = (0..<6).map { Router.Candidate(miner: $0, hotkey: names[$0], capacity: 100) }
  let start = Monotonic(nanoseconds: 1_000_000_000_000)
  let tuning = RouterTuning()

  /// A router whose miners all answered once, after 200 ms.
  func settled() -> Router {
    var router = Router()
    for name in RouterTests.names { answer(&router, name, after: 200) }
    return router
  }

  func answer(_ router: inout Router, _ hotkey: String, after milliseconds: Int) {
    router.began(task: "t", hotkey: hotkey)
    router.answered(task: "t", hotkey: hotkey, firstContentMilliseconds: milliseconds, now: start)
    let end = Router.End(outcome: .ok, firstContentMilliseconds: milliseconds, paceMilliseconds: 20)
    router.ended(task: "t", hotkey: hotkey, end, now: start)
  }

  func fail(
    _ router: inout Router, _ hotkey: String, _ outcome: Outcome = .serverError, after first: Int? = nil,
    retryAfterSeconds: Int? = nil, at now: Monotonic? = nil
  ) {
    router.began(task: "t", hotkey: hotkey)
    router.ended(
      task: "t", hotkey: hotkey,
      Router.End(
        outcome: outcome, firstContentMilliseconds: first, retryAfterSeconds: retryAfterSeconds),
      now: now ?? start)
  }

  /// How often each miner is chosen in 1,000 draws.
  func choices(
    _ router: Router, at now: Monotonic? = nil, of candidates: [Router.Candidate] = RouterTests.candidates
  ) -> [Int] {
    var random = SeededRandom(seed: 1)
    var counts = [Int](repeating: 0, count: candidates.count)
    for _ in 0..<1000 {
      let choice = router.choose(
        task: "t", candidates: candidates, tried: [], now: now ?? start, random: &random)
      if let choice { counts[choice.miner] += 1 }
    }
    return counts
  }

  @Test("prefers miners that answer sooner and tries all of them")
  func prefersFast() {
    var router = settled()
    for name in RouterTests.names.dropFirst() { answer(&router, name, after: 2_500) }
    let counts = choices(router)
    #expect(counts[0] > 250, "\(counts)")
    #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
  }

  @Test("prefers miners whose tokens come faster, also while an answer is under way")
  func pace() {
    var router = settled()
    router.flows(task: "t", hotkey: "miner-4", paceMilliseconds: 5_000, now: start)
    #expect(choices(router)[4] < 40)
  }

  @Test("sees a miner's silence before its timeout")
  func silence() {
    var router = settled()
    router.waits(task: "t", hotkey: "miner-3", milliseconds: 100, now: start)
    #expect(
      router.health(task: "t", hotkey: "miner-3").firstMilliseconds == 200, "less than usual is no news")
    router.waits(task: "t", hotkey: "miner-3", milliseconds: 4_000, now: start)
    #expect(router.health(task: "t", hotkey: "miner-3").firstMilliseconds == 4_000)
    #expect(choices(router)[3] < 40)
  }

  @Test("prefers a miner that answered well to one of which nothing is known")
  func unknown() {
    var router = Router()
    answer(&router, "miner-2", after: Int(tuning.unknownFirstMilliseconds))
    let counts = choices(router)
    #expect(counts[2] > 250, "\(counts)")
    #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
  }

  @Test("asks miners with fewer requests under way, here or at other workers")
  func load() {
    var router = settled()
    for _ in 0..<3 { router.began(task: "t", hotkey: "miner-0") }
    let elsewhere = MinerReport("miner-1", busy(3), at: start)
    router.adopt(task: "t", reports: [(ageMilliseconds: 0, miners: [elsewhere])], now: start)
    let counts = choices(router)
    #expect(counts[0] + counts[1] < 167, "\(counts)")
    router.adopt(task: "t", reports: [], now: start)
    #expect(choices(router)[1] > 100, "what an expired report had in flight is gone with it")
  }

  private func busy(_ count: Int) -> MinerHealth {
    var health = MinerHealth(tuning)
    health.inFlight = count
    return health
  }

  @Test("never asks a miner twice for one request, and gives up when all were asked")
  func tried() {
    let router = Router()
    var random = SeededRandom(seed: 3)
    var tried: [String] = []
    while let choice = router.choose(
      task: "t", candidates: RouterTests.candidates, tried: tried, now: start, random: &random)
    {
      #expect(!tried.contains(choice.hotkey))
      tried.append(choice.hotkey)
    }
    #expect(tried.count == 6)
  }

  @Test("a miner that did all that it claimed is asked last")
  func usedUp() {
    var candidates = RouterTests.candidates
    for index in 0..<5 { candidates[index].capacity = 0 }
    #expect(choices(settled(), of: candidates) == [0, 0, 0, 0, 0, 1000])
    candidates[5].capacity = -1
    #expect(choices(settled(), of: candidates).reduce(0, +) == 1000, "better than refusing the user")
  }

  // MARK: the breaker

  @Test("leaves a failing miner alone, twice as long each time, and then tries it with one request")
  func ejects() {
    var router = settled()
    for _ in 0..<tuning.failuresMax { fail(&router, "miner-2") }
    #expect(choices(router)[2] == 0)
    // All others have as many requests as they are trusted with.
    for name in RouterTests.names where name != "miner-2" {
      for _ in 0..<Int(router.health(task: "t", hotkey: name).limit + 1) {
        router.began(task: "t", hotkey: name)
      }
    }
    let first = start.advanced(milliseconds: tuning.ejectionFirstMilliseconds)
    #expect(choices(router, at: first.advanced(milliseconds: -1))[2] == 0)
    #expect(choices(router, at: first)[2] == 1000)
    router.began(task: "t", hotkey: "miner-2")
    #expect(choices(router, at: first)[2] < 1000, "one request at a time")
    router.ended(task: "t", hotkey: "miner-2", Router.End(outcome: .cancelled), now: first)
    fail(&router, "miner-2", at: first)
    let second = first.advanced(milliseconds: tuning.ejectionFirstMilliseconds)
    #expect(choices(router, at: second)[2] == 0, "twice as long")
    let third = second.advanced(milliseconds: tuning.ejectionFirstMilliseconds)
    #expect(choices(router, at: third)[2] == 1000)
    answer(&router, "miner-2", after: 200)
    #expect(!router.health(task: "t", hotkey: "miner-2").isOnTrial(at: third), "a good answer closes it")
  }

  @Test("breakers never take more than half of a task away")
  func panic() {
    var router = settled()
    for name in RouterTests.names.prefix(3) {
      for _ in 0..<tuning.failuresMax { fail(&router, name) }
    }
    #expect(choices(router).prefix(3).allSatisfy { $0 == 0 }, "half may be out")
    for _ in 0..<tuning.failuresMax { fail(&router, "miner-3") }
    var random = SeededRandom(seed: 5)
    let choice = router.choose(
      task: "t", candidates: RouterTests.candidates, tried: ["miner-4", "miner-5"], now: start,
      random: &random)
    #expect(choice != nil, "with more out, being out says little")
  }

  @Test("does as a miner's Retry-After says, and asks miners without room when no other is left")
  func retryAfter() {
    var router = settled()
    fail(&router, "miner-0", .rateLimited, retryAfterSeconds: 7)
    #expect(choices(router, at: start.advanced(milliseconds: 6_999))[0] == 0)
    #expect(choices(router, at: start.advanced(milliseconds: 7_000))[0] > 0)
    for name in RouterTests.names { fail(&router, name, .rateLimited, retryAfterSeconds: 7) }
    #expect(choices(router).allSatisfy { $0 > 0 })
  }

  @Test("an absurd Retry-After is bounded")
  func absurdRetryAfter() {
    var router = settled()
    fail(&router, "miner-0", .rateLimited, retryAfterSeconds: .max)
    let until = start.advanced(milliseconds: tuning.pauseMaxMilliseconds)
    #expect(router.health(task: "t", hotkey: "miner-0").pausedUntil == until)
  }

  @Test("an answer that was lost weighs more than one that another miner could give")
  func losses() {
    var (early, late) = (settled(), settled())
    fail(&early, "miner-1")
    fail(&late, "miner-1", .stallTimeout, after: 200)
    let costs = [early, late].map { $0.health(task: "t", hotkey: "miner-1").cost(at: start, tuning) }
    #expect(costs[1] > costs[0] * 1.5, "\(costs)")
  }

  // MARK: trust

  @Test("trust grows where it is used and shrinks at a miner without room")
  func trust() {
    var router = settled()
    let before = router.health(task: "t", hotkey: "miner-0").limit
    for _ in 0..<20 { router.began(task: "t", hotkey: "miner-0") }
    for _ in 0..<10 {
      router.ended(
        task: "t", hotkey: "miner-0",
        Router.End(outcome: .ok, firstContentMilliseconds: 200, paceMilliseconds: 20), now: start)
    }
    let grown = router.health(task: "t", hotkey: "miner-0").limit
    #expect(grown > before)
    for _ in 0..<30 { router.began(task: "t", hotkey: "miner-0") }
    fail(&router, "miner-0", .rateLimited)
    #expect(router.health(task: "t", hotkey: "miner-0").limit <= grown)
    #expect(
      router.health(task: "t", hotkey: "miner-1").limit
        == settled().health(task: "t", hotkey: "miner-1").limit)
  }

  @Test("a claim buys no trust")
  func claims() {
    var candidates = RouterTests.candidates
    candidates[5].capacity = 1e9
    #expect(choices(settled(), of: candidates) == choices(settled()))
  }

  // MARK: quality

  @Test("a miner with wrong answers gets no requests, even when it is the only one, until it mends")
  func quarantine() {
    var router = settled()
    router.judged(task: "t", hotkey: "miner-0", mean: 0.1, verdicts: tuning.verdictsMin)
    #expect(choices(router)[0] == 0)
    #expect(choices(router, of: [RouterTests.candidates[0]]) == [0])
    router.judged(task: "t", hotkey: "miner-0", mean: 0.6, verdicts: 9)
    #expect(choices(router)[0] == 0, "better, and not yet good")
    router.judged(task: "t", hotkey: "miner-0", mean: 0.9, verdicts: 12)
    #expect(choices(router)[0] > 0)
    router.judged(task: "t", hotkey: "miner-1", mean: .nan, verdicts: 50)
    #expect(choices(router)[1] > 0, "what is no number is no verdict")
  }

  // MARK: properties

  @Test("whatever happens, what it keeps stays finite and within its limits")
  func properties() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    var router = Router()
    var now = start
    for _ in 0..<5_000 {
      let name = RouterTests.names[random.below(6)]
      now = now.advanced(milliseconds: random.below(2_000))
      switch random.below(7) {
      case 0: router.began(task: "t", hotkey: name)
      case 1: router.waits(task: "t", hotkey: name, milliseconds: random.below(10_000), now: now)
      case 2: router.flows(task: "t", hotkey: name, paceMilliseconds: random.uniform() * 1e4, now: now)
      case 3:
        router.answered(task: "t", hotkey: name, firstContentMilliseconds: random.below(9_000), now: now)
      case 4:
        router.judged(task: "t", hotkey: name, mean: random.uniform() * 3 - 1, verdicts: random.below(9))
      default:
        let outcome = Outcome.allCases[random.below(Outcome.allCases.count)]
        let end = Router.End(
          outcome: outcome, firstContentMilliseconds: random.below(2) == 0 ? nil : random.below(9_000),
          paceMilliseconds: random.uniform() * 100, retryAfterSeconds: random.below(3) == 0 ? 3 : nil)
        router.ended(task: "t", hotkey: name, end, now: now)
      }
      let known = router.health(task: "t", hotkey: name)
      let cost = known.cost(at: now, tuning)
      #expect(cost.isFinite && cost > 0, "seed \(seed)")
      #expect((tuning.limitMin...tuning.limitMax).contains(known.limit), "seed \(seed)")
      #expect((0...1).contains(known.earlyFailures) && (0...1).contains(known.lateFailures), "seed \(seed)")
      #expect(known.inFlight >= 0, "seed \(seed)")
      var draws = random
      let choice = router.choose(
        task: "t", candidates: RouterTests.candidates, tried: [], now: now, random: &draws)
      let able = RouterTests.names.filter { !router.health(task: "t", hotkey: $0).isQuarantined }
      #expect((choice == nil) == able.isEmpty, "seed \(seed)")
      #expect(choice.map { able.contains($0.hotkey) } ?? true, "seed \(seed)")
    }
  }
}
