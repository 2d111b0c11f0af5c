import Testing

@testable import Common

/// The rule of earned capacity, one period at a time. What it makes of cheats over a hundred periods is
/// simulated in VisionTests/EarnedCapacity.
@Suite("What a period shows")
struct EarnedPropertyTests {
  /// Counters of `good` answers of `work` volume units each, and some bad ones.
  private static func counters(good: Int, work: Double = 300, rateLimits: Int = 0, failures: Int = 0)
    -> PeriodCounters
  {
    var counters = PeriodCounters()
    for _ in 0..<good { counters.count(.ok, workMilli: Int(work * 1000)) }
    for _ in 0..<rateLimits { counters.count(.rateLimited, workMilli: 0) }
    for _ in 0..<failures { counters.count(.totalTimeout, workMilli: 0) }
    return counters
  }

  private static func earned(
    _ counters: PeriodCounters, claim: Double, proven: Int, periodSeconds: Int = 3600
  ) -> EarnedPeriod {
    ScoringProfile.vision.earned(
      counters, claim: claim, provenMilli: proven, queryVolume: 300, periodSeconds: periodSeconds)
  }

  @Test("a newcomer is credited with what it showed, and with its claim when it came within a query of it")
  func newcomers() {
    #expect(Self.earned(Self.counters(good: 10), claim: 30_000, proven: 0).credit == 3000)
    #expect(Self.earned(Self.counters(good: 99), claim: 30_000, proven: 0).credit == 30_000)
    let nothing = Self.earned(Self.counters(good: 0), claim: 30_000, proven: 0)
    #expect(nothing.credit == 0 && nothing.proven == 0)
  }

  @Test("who claims more than it can do gets a query less than what it showed, and keeps no more")
  func overdeclaring() {
    let counters = Self.counters(good: 100, rateLimits: 250)
    let first = Self.earned(counters, claim: 300_000, proven: 0)
    #expect(first.credit == 29_700 && first.proven == 29_700_000)
    let again = Self.earned(counters, claim: 300_000, proven: first.proven)
    #expect(again.credit == 29_700 && again.forgiven == 250)
    #expect(ScoringProfile.vision.periodScore(counters, earned: again) == 1)
  }

  @Test("a rate limit within the proven volume costs credit and score, one above it neither")
  func rateLimits() throws {
    let within = Self.earned(Self.counters(good: 50, rateLimits: 50), claim: 30_000, proven: 30_000_000)
    #expect(within.credit == 15_000 && within.forgiven == 0)
    let counters = Self.counters(good: 100, rateLimits: 50)
    let above = Self.earned(counters, claim: 30_000, proven: 30_000_000)
    #expect(above.credit == 30_000 && above.forgiven == 50)
    let score = try #require(ScoringProfile.vision.periodScore(counters, earned: above))
    #expect(score == 1)
    let timeouts = Self.earned(Self.counters(good: 100, failures: 50), claim: 30_000, proven: 30_000_000)
    #expect(timeouts.forgiven == 0)
  }

  @Test("a small test that is answered leaves what is proven, and shows a loss of hardware step by step")
  func smallTests() {
    let fine = Self.earned(Self.counters(good: 5), claim: 30_000, proven: 30_000_000)
    #expect(fine.credit == 30_000 && fine.proven == 30_000_000)
    let gone = Self.earned(Self.counters(good: 0, failures: 5), claim: 30_000, proven: 30_000_000)
    #expect(gone.credit == 28_500 && gone.proven == 28_500_000)
    let faulty = Self.earned(Self.counters(good: 19, failures: 1), claim: 30_000, proven: 30_000_000)
    #expect(faulty.credit == 30_000, "faults are for the score")
  }

  @Test("proof that is not claimed fades, whatever the length of the period")
  func fading() {
    for seconds in [60, 3600, 7200] {
      let claim = Double(seconds) / 3600 * 10_000
      let less = Self.earned(
        PeriodCounters(), claim: claim, proven: 30_000_000, periodSeconds: seconds)
      #expect(abs(less.credit - claim) < 1e-9 && less.proven == 27_500_000)
      let none = Self.earned(PeriodCounters(), claim: 0, proven: 30_000_000, periodSeconds: seconds)
      #expect(none.credit == 0 && none.proven == 26_250_000)
    }
  }

  @Test(
    "credit never exceeds the claim, or both what was proven and what was shown; more work never lowers it")
  func bounds() {
    Rounds.all { _, random in
      let claim = random.below(10) == 0 ? 0 : random.uniform() * 20_000
      let proven = random.below(4) == 0 ? 0 : random.below(30_000_000)
      let good = random.below(60)
      let (limits, failures) = (random.below(20), random.below(20))
      func outcome(_ good: Int) -> EarnedPeriod {
        Self.earned(
          Self.counters(good: good, rateLimits: limits, failures: failures), claim: claim, proven: proven)
      }
      let (one, more) = (outcome(good), outcome(good + 1))
      let shown = Double(good) * 300
      let short = min(300, claim * EarnedCapacity.shortPart)
      return one.credit <= claim && one.credit >= 0 && one.proven >= 0
        && one.credit <= max(Double(proven) / 1000, shown + short) + 1e-6 && one.forgiven >= 0
        && one.forgiven <= limits && more.credit >= one.credit - 1e-9 && more.proven >= one.proven
        && more.forgiven >= one.forgiven
    }
  }

  @Test("malformed claims count as none", arguments: [Double.nan, .infinity, -.infinity, -5])
  func malformed(claim: Double) {
    let earned = Self.earned(Self.counters(good: 3), claim: claim, proven: 1_000_000)
    #expect(earned.claim == 0 && earned.credit == 0)
    #expect(ScoringProfile.vision.periodScore(Self.counters(good: 3), earned: earned) == nil)
  }

  @Test("an unproven claim has its miner tested in full, four times the proven volume at most")
  func fullTests() {
    let proven = EarnedCapacity.Claim(capacity: 1000, proven: 1000)
    let unproven = EarnedCapacity.Claim(capacity: 1000, proven: 200)
    #expect(EarnedCapacity.testsInFull([proven, unproven], lot: 0.99))
    #expect(!EarnedCapacity.testsInFull([proven, proven], lot: 0.99))
    #expect(EarnedCapacity.testsInFull([proven], lot: 0.01))
    #expect(unproven.fullTestVolume == 800 && proven.fullTestVolume == 1000)
    #expect(EarnedCapacity.Claim(capacity: 1000, proven: 0).fullTestVolume == 1000)
  }
}
