import Testing

@testable import Common

/// A random period of one miner at one task.
private struct Period {
  var profile: ScoringProfile
  var total: Int
  var rateLimits: Int
  var failures: Int
  var capacity: Double
  var volume: Double

  init(_ random: inout SeededRandom) {
    profile = random.below(2) == 0 ? .vision : .nineteen
    total = 1 + random.below(60)
    rateLimits = random.below(total + 1)
    failures = random.below(total - rateLimits + 1)
    capacity = random.uniform() * 10_000 + 1e-3
    volume = random.below(5) == 0 ? 0 : random.uniform() * capacity
  }

  var original: Double {
    profile.periodScore(
      total: total, rateLimits: rateLimits, failures: failures, capacity: capacity, volume: volume)!
  }

  var lenient: Double {
    profile.lenientPeriodScore(
      total: total, rateLimits: rateLimits, failures: failures, capacity: capacity, volume: volume)!
  }

  func with(_ change: (inout Period) -> Void) -> Period {
    var other = self
    change(&other)
    return other
  }
}

/// Properties of the period score: of the originals' formulas, and of the one under earned capacity.
@Suite("Properties of the period score")
struct PeriodScorePropertyTests {
  private static func periods(
    _ sourceLocation: SourceLocation = #_sourceLocation, _ check: (Period, inout SeededRandom) -> Bool
  ) {
    Rounds.all(sourceLocation) { _, random in
      let period = Period(&random)
      return check(period, &random)
    }
  }

  @Test("a miner that only says that it has no room never fares worse than one that only fails")
  func onlyRateLimits() {
    Self.periods { period, _ in
      let refused = period.with { ($0.rateLimits, $0.failures) = ($0.rateLimits + $0.failures, 0) }
      let failed = period.with { ($0.rateLimits, $0.failures) = (0, $0.rateLimits + $0.failures) }
      return refused.original >= failed.original && (0...1).contains(refused.original)
    }
  }

  @Test("under earned capacity one more rate limit never costs more than one more failure")
  func rateLimits() {
    var original = 0
    Self.periods { period, _ in
      guard period.rateLimits + period.failures < period.total else { return true }
      let refused = period.with { $0.rateLimits += 1 }
      let failed = period.with { $0.failures += 1 }
      if refused.original < failed.original { original += 1 }
      return refused.lenient >= failed.lenient && (0...1).contains(refused.lenient)
    }
    // The original formulas do not hold it: the test can fail.
    #expect(original > 100)
  }

  @Test("a rate limit counts as whichever costs less: no split of them scores higher")
  func bestSplit() {
    Self.periods { period, _ in
      var best = 0.0
      for shifted in 0...period.rateLimits {
        let split = period.with {
          $0.rateLimits -= shifted
          $0.failures += shifted
        }
        best = max(best, split.original)
      }
      return period.lenient == best
    }
  }

  @Test("the fewer queries a miner got, and the less it did, the more a failure costs")
  func failures() {
    Self.periods { period, _ in
      let one = period.with { ($0.rateLimits, $0.failures) = (0, 1) }
      let more = one.with { $0.total += 1 }
      let less = one.with { $0.volume /= 2 }
      return one.original < more.original && less.original <= one.original
        && one.lenient < more.lenient && less.lenient <= one.lenient
    }
  }

  @Test("full use of the claim adds no penalty to the share of bad answers")
  func fullUse() {
    Self.periods { period, _ in
      let full = period.with { $0.volume = max($0.capacity, 1) * 1.5 }
      let good = Double(full.total - full.rateLimits - full.failures) / Double(full.total)
      return full.original == good && full.lenient == good
    }
  }

  @Test("another good answer never lowers the period's score")
  func goodAnswers() {
    Self.periods { period, random in
      let work = random.uniform() * 500
      let more = period.with {
        $0.total += 1
        $0.volume += work
      }
      return more.original >= period.original * (1 - 1e-12)
        && more.lenient >= period.lenient * (1 - 1e-12)
    }
  }
}
