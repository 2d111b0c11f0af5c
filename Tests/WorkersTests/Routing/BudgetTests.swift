import Common
import Testing

@testable import Workers

@Suite("Additional requests")
struct BudgetTests {
  let start = Monotonic(nanoseconds: 5_000_000_000)

  @Test("are a share of the requests, and beside it a few each second, whatever the order")
  func bounded() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    var budget = RetryBudget(share: 0.2, perSecond: 1)
    var (requests, taken, now) = (0, 0, start)
    for _ in 0..<20_000 {
      now = now.advanced(milliseconds: random.below(10))
      if random.below(3) == 0 {
        requests += 1
        budget.requested()
      } else if budget.take(at: now) {
        taken += 1
      }
      let allowed = 0.2 * Double(requests) + Double(now.milliseconds(since: start)) / 1000 + 1
      #expect(Double(taken) <= allowed + 1e-6, "seed \(seed)")
    }
    #expect(taken > 1_000, "seed \(seed)")
  }

  @Test("a quiet hour saves up no flood")
  func capped() {
    var budget = RetryBudget(share: 0, perSecond: 2)
    _ = budget.take(at: start)
    let later = start.advanced(milliseconds: 3_600_000)
    var taken = 0
    while budget.take(at: later) { taken += 1 }
    #expect(taken == 20)
  }

  @Test("a second miner is asked after the task's p95, within bounds, and never when it is turned off")
  func hedge() {
    var router = Router()
    let tuning = router.tuning
    #expect(router.hedgeMilliseconds(task: "t") == tuning.hedgeCeilingMilliseconds, "nothing is known yet")
    for round in 0..<200 {
      let slow = tuning.hedgeFloorMilliseconds + 200
      router.answered(
        task: "t", hotkey: "a", firstContentMilliseconds: round % 10 == 0 ? slow : 50,
        now: start.advanced(milliseconds: round))
    }
    let after = router.hedgeMilliseconds(task: "t") ?? 0
    #expect((tuning.hedgeFloorMilliseconds + 150...tuning.hedgeFloorMilliseconds + 300).contains(after))
    for _ in 0..<2_000 { router.answered(task: "t", hotkey: "a", firstContentMilliseconds: 5, now: start) }
    #expect(router.hedgeMilliseconds(task: "t") == tuning.hedgeFloorMilliseconds)
    var off = RouterTuning()
    off.hedgeShare = 0
    var without = Router(off)
    #expect(without.hedgeMilliseconds(task: "t") == nil)
    let leave = without.mayHedge(at: start)
    #expect(!leave)
  }
}
