import Testing

@testable import Common

@Suite("Planning a period")
struct PlanningTests {
  @Test("a claim is a volume per profile period: a minute counts for a sixtieth of an hour's")
  func shortPeriods() {
    let vision = ScoringProfile.vision
    #expect(vision.capacity(claim: 3600, maxCapacity: 1e6, periodSeconds: 60) == 60)
    #expect(vision.capacity(claim: 3600, maxCapacity: 1800, periodSeconds: 60) == 30)
    #expect(vision.capacity(claim: 3600, maxCapacity: 1e6, stakeShare: 0.5, periodSeconds: 3600) == 1800)
    #expect(ScoringProfile.nineteen.capacity(claim: 60, maxCapacity: 100, periodSeconds: 3600) == 120)
  }

  @Test("a malformed claim counts as none", arguments: [Double.nan, .infinity, -.infinity, -1, 0, -0.0])
  func malformedClaims(claim: Double) {
    for profile in [ScoringProfile.vision, .nineteen] {
      #expect(profile.capacity(claim: claim, maxCapacity: 100, periodSeconds: 60) == 0)
    }
  }

  @Test("each query has its own slice of the period, at a point that differs from seed to seed")
  func placement() {
    var points: Set<Int> = []
    for seed in 0..<200 {
      var random = SeededRandom(seed: UInt64(seed))
      let times = ScoringProfile.vision.placement(
        count: 7, periodMilliseconds: 60_000, using: &random)
      #expect(times.count == 7)
      for (slice, time) in times.enumerated() {
        #expect(time >= slice * 60_000 / 7 && time < (slice + 1) * 60_000 / 7, "seed \(seed)")
      }
      points.insert(times[0])
    }
    #expect(points.count > 150)
  }

  @Test("no query, and more queries than milliseconds, are placed without trouble")
  func placementEdges() {
    var random = SeededRandom(seed: 1)
    let profile = ScoringProfile.vision
    #expect(profile.placement(count: 0, periodMilliseconds: 1000, using: &random).isEmpty)
    let dense = profile.placement(count: 50, periodMilliseconds: 10, using: &random)
    #expect(dense.count == 50 && dense.allSatisfy { (0..<10).contains($0) })
    #expect(dense == dense.sorted())
  }

  @Test("vision asks every miner at least once, nineteen spreads the task's number by test volume")
  func counts() {
    let volumes: [Double] = [3000, 100, 0, .nan, 650]
    let vision = ScoringProfile.vision.queryCounts(testVolumes: volumes, volumePerRequest: 300)
    #expect(vision == [10, 1, 0, 0, 2] as [Int])
    let nineteen = ScoringProfile.nineteen.queryCounts(testVolumes: volumes, volumePerRequest: 300)
    #expect(nineteen == [10, 0, 0, 0, 2] as [Int])
    let even = ScoringProfile.nineteen.queryCounts(testVolumes: [1, 1, 1], volumePerRequest: 1.4)
    #expect(even == [1, 1, 0] as [Int])
  }

  @Test("a spread number keeps its total, and nobody is more than one off the exact share")
  func apportioning() {
    for seed in 0..<SubnetPropertyTests.rounds {
      var random = SeededRandom(seed: seed)
      let quotas = (0..<1 + random.below(30)).map { _ in random.below(4) == 0 ? 0 : random.uniform() }
      let total = random.below(500)
      let counts = ScoringProfile.apportioned(total, by: quotas)
      let sum = quotas.reduce(0, +)
      #expect(counts.reduce(0, +) == (sum > 0 ? total : 0), "seed \(seed)")
      for (count, quota) in zip(counts, quotas) where sum > 0 {
        #expect(abs(Double(count) - quota / sum * Double(total)) < 1 + 1e-9, "seed \(seed)")
      }
    }
  }

  @Test("shares are drawn with the profile's probabilities")
  func shares() {
    var random = SeededRandom(seed: 7)
    let vision = (0..<20_000).map { _ in ScoringProfile.vision.testedShare(using: &random) }
    #expect(abs(Double(vision.filter { $0 == 0.05 }.count) / 20_000 - 0.7) < 0.02)
    #expect(abs(Double(vision.filter { $0 >= 0.4 }.count) / 20_000 - 0.03) < 0.01)
    #expect(vision.allSatisfy { $0 >= 0.05 && $0 < 0.8 })
    let nineteen = (0..<20_000).map { _ in ScoringProfile.nineteen.testedShare(using: &random) }
    #expect(Set(nineteen) == [0.04, 0.08, 0.12, 0.8])
    #expect(abs(Double(nineteen.filter { $0 == 0.8 }.count) / 20_000 - 0.005) < 0.003)
  }

  @Test("limited weights sum to 1, stay under the limit and keep their order")
  func limitedWeights() {
    for seed in 0..<SubnetPropertyTests.rounds {
      var random = SeededRandom(seed: seed)
      let weights = (0..<2 + random.below(40)).map { _ in random.uniform() * random.uniform() + 1e-6 }
      let limit = 1.05 / Double(weights.count) + random.uniform() * 0.5
      let limited = ChainWeights.limited(weights, limit: limit)
      #expect(abs(limited.reduce(0, +) - 1) < 1e-9, "seed \(seed)")
      #expect(limited.allSatisfy { $0 <= limit * (1 + 1e-9) }, "seed \(seed)")
      let order = weights.indices.sorted { weights[$0] < weights[$1] }
      for (lower, higher) in zip(order, order.dropFirst()) {
        #expect(limited[lower] <= limited[higher], "seed \(seed)")
      }
    }
    #expect(ChainWeights.limited([], limit: 0.5).isEmpty)
    let third: Double = 1.0 / 3
    let uniform: [Double] = [third, third, third]
    #expect(ChainWeights.limited([0, 0, 1], limit: 0.5) == uniform)
  }

  @Test("the largest weight becomes 65535 even when it is tiny")
  func tinyWeights() {
    let tiny = Double.leastNormalMagnitude / 1000
    for emission in [ChainWeights.Emission.bittensor, .fiber] {
      let entries = ChainWeights.emitted([(3, 4 * tiny), (4, 2 * tiny), (5, 0)], emission)
      #expect(entries.map(\.uid) == [3, 4])
      #expect(entries.first?.value == 65535)
    }
  }
}
