import Common
import Testing

@testable import Workers

@Suite("The router")
struct RouterTests {
  static let candidates = (0..<6).map {
    Router.Candidate(miner: $0, hotkey: "miner-\($0)", capacity: 100)
  }
  let start = Monotonic(nanoseconds: 1_000_000_000_000)

  /// How often each miner is chosen in 1,000 draws.
  func choices(_ router: Router, at now: Monotonic) -> [Int] {
    var random = SeededRandom(seed: 1)
    var counts = [Int](repeating: 0, count: 6)
    for _ in 0..<1000 {
      let choice = router.choose(
        task: "t", candidates: RouterTests.candidates, tried: [], now: now, random: &random)
      counts[choice?.miner ?? 0] += 1
    }
    return counts
  }

  @Test("prefers miners that answer sooner and tries all of them")
  func prefersFast() {
    var router = Router()
    for miner in 0..<6 {
      router.began(task: "t", hotkey: "miner-\(miner)")
      router.ended(
        task: "t", hotkey: "miner-\(miner)", outcome: .ok, firstContentMilliseconds: miner == 0 ? 250 : 2_500,
        retryAfterSeconds: nil, now: start)
    }
    let counts = choices(router, at: start)
    #expect(counts[0] > 250, "\(counts)")
    #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
  }

  @Test("never asks a miner twice for one request, and gives up when all were asked")
  func tried() {
    let router = Router()
    var random = SeededRandom(seed: 3)
    var tried: Set<String> = []
    while let choice = router.choose(
      task: "t", candidates: RouterTests.candidates, tried: tried, now: start, random: &random)
    {
      #expect(tried.insert(choice.hotkey).inserted)
    }
    #expect(tried.count == 6)
  }

  @Test("leaves a failing miner alone for a while and then tries it again")
  func ejects() {
    var router = Router()
    for _ in 0..<Router.failuresMax {
      router.began(task: "t", hotkey: "miner-2")
      router.ended(
        task: "t", hotkey: "miner-2", outcome: .serverError, firstContentMilliseconds: nil,
        retryAfterSeconds: nil, now: start)
    }
    #expect(choices(router, at: start)[2] == 0)
    let later = start.advanced(milliseconds: Router.ejectionFirstMilliseconds)
    #expect(choices(router, at: later)[2] > 0)
  }

  @Test("does as a miner's Retry-After says, and ignores it when most miners are out")
  func retryAfterAndPanic() {
    var router = Router()
    router.ended(
      task: "t", hotkey: "miner-0", outcome: .rateLimited, firstContentMilliseconds: nil,
      retryAfterSeconds: 7, now: start)
    #expect(choices(router, at: start.advanced(milliseconds: 6_999))[0] == 0)
    #expect(choices(router, at: start.advanced(milliseconds: 7_000))[0] > 0)
    for miner in 0..<6 {
      router.ended(
        task: "t", hotkey: "miner-\(miner)", outcome: .rateLimited, firstContentMilliseconds: nil,
        retryAfterSeconds: 7, now: start)
    }
    #expect(choices(router, at: start).allSatisfy { $0 > 0 })
  }
}
