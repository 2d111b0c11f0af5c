import Common
import Foundation
import Testing

/// A mean with its 95 % confidence interval (Student's t), of 6 or 16 values.
private struct Mean: CustomStringConvertible {
  var mean: Double
  var halfWidth: Double
  /// Of the 99.9 % interval: what lies outside of it is no chance, however often a test is run.
  var wideHalfWidth: Double

  init(_ values: [Double]) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    self.mean = mean
    // The 97.5 % and 99.95 % quantiles of t with 15 and with 5 degrees of freedom.
    let (usual, wide) = values.count > 15 ? (2.131, 4.073) : (2.571, 6.869)
    halfWidth = usual * (variance / count).squareRoot()
    wideHalfWidth = wide * (variance / count).squareRoot()
  }

  var low: Double { mean - halfWidth }
  var high: Double { mean + halfWidth }
  var description: String { String(format: "%.3f ± %.3f", mean, halfWidth) }
}

/// A hundred virtual periods, planned by the real planner and weighed by the real fold.
@Suite("Earned capacity")
struct EarnedCapacityTests {
  static let periods = 100
  static let runs = ProcessInfo.processInfo.environment["VISION_TEST_LONG"] == nil ? 6 : 16
  /// The seeds of one run of the tests; a failure prints them.
  static let base = UInt64.random(in: 0..<1 << 48)

  private static func swing(_ high: Double, _ low: Double, every length: Int) -> @Sendable (Int) -> Double {
    { $0 / length % 2 == 0 ? high : low }
  }

  /// How many miners declare the truth: their mean is what the others are compared with.
  private static let truths = 4

  /// Twins of equal hardware: the first declare the truth, the others do not.
  private static var twins: [EarnedSubnet.Miner] {
    var miners = (0..<truths).map { EarnedSubnet.Miner(name: "truth \($0)") }
    for (factor, overload) in [
      (2.0, EarnedSubnet.Overload.refuses), (5, .refuses), (10, .refuses), (2, .timesOut), (10, .timesOut),
      (2, .slows),
    ] {
      miners.append(
        .init(name: "x\(Int(factor)) \(overload.rawValue)", overload: overload, factor: { _ in factor }))
    }
    miners.append(.init(name: "10, 1 in turn", factor: swing(10, 1, every: 1)))
    miners.append(.init(name: "1, 0.1 in turn", factor: swing(1, 0.1, every: 1)))
    miners.append(.init(name: "4, 0.5 by fives", factor: swing(4, 0.5, every: 5)))
    return miners
  }

  /// Each miner's income over the mean of those that declare the truth, over all runs.
  private static func incomes(
    _ profile: ProfileName, _ miners: [EarnedSubnet.Miner], queries: Int = 16, isEarned: Bool = true,
    runs: Int = runs
  ) throws -> (ratios: [Mean], records: [[EarnedSubnet.Record]]) {
    var ratios = miners.map { _ in [Double]() }
    var records: [[EarnedSubnet.Record]] = []
    for run in 0..<runs {
      var subnet = EarnedSubnet(
        profile: profile, miners: miners, queries: queries, seed: base + UInt64(run), isEarned: isEarned)
      try subnet.run(periods: periods)
      let honest = miners.indices.filter { miners[$0].name.hasPrefix("truth") }
      let truth = honest.reduce(0) { $0 + subnet.records[$1].income } / Double(honest.count)
      for index in miners.indices { ratios[index].append(subnet.records[index].income / truth) }
      records.append(subnet.records)
    }
    return (ratios.map(Mean.init), records)
  }

  @Test("who declares more than the truth, or swings, never earns more", arguments: ProfileName.allCases)
  func overdeclaring(profile: ProfileName) throws {
    let miners = Self.twins
    let (ratios, records) = try Self.incomes(profile, miners)
    // By what they declare they do earn more: otherwise the test could not tell.
    let without = try Self.incomes(profile, Array(miners.prefix(Self.truths + 3)), isEarned: false).ratios
    print("earned capacity, \(profile.rawValue), seeds \(Self.base)…, \(Self.runs) runs of \(Self.periods)")
    for (index, miner) in miners.enumerated() {
      let asked = records.map { Double($0[index].asked) }.reduce(0, +) / Double(Self.runs * Self.periods)
      let declared = index < without.count ? ", by declared capacity \(without[index])" : ""
      print("  \(miner.name): income \(ratios[index]), asked \(asked) per period\(declared)")
    }
    for (index, miner) in miners.enumerated().dropFirst(Self.truths) {
      #expect(ratios[index].high <= 1, "\(miner.name), seeds from \(Self.base)")
    }
    for declared in without.dropFirst(Self.truths) {
      #expect(declared.low > 1, "seeds from \(Self.base)")
    }
  }

  @Test("an honest newcomer has its full credit within eight periods", arguments: ProfileName.allCases)
  func newcomers(profile: ProfileName) throws {
    let join = 20
    let miners = [
      EarnedSubnet.Miner(name: "truth"), .init(name: "new", joins: join),
      .init(name: "x10", factor: { _ in 10 }),
    ]
    for run in 0..<Self.runs {
      var subnet = EarnedSubnet(
        profile: profile, miners: miners, queries: 16, seed: Self.base + UInt64(run))
      try subnet.run(periods: join + 8)
      let best = subnet.records[1].credit[join...].max() ?? 0
      let last = subnet.records[1].credit[join + 7]
      #expect(best == 1 && last >= 0.85, "seed \(Self.base + UInt64(run)): \(subnet.records[1].credit)")
      #expect(subnet.records[1].credit[..<join].allSatisfy { $0 == 0 })
    }
  }

  @Test("an honest miner that is tested in full every time earns no less", arguments: ProfileName.allCases)
  func heavyTesting(profile: ProfileName) throws {
    let miners =
      [.init(name: "heavy", isHeavilyTested: true), .init(name: "organic", organicShare: 1)]
      + (0..<Self.truths).map { EarnedSubnet.Miner(name: "truth \($0)") }
    let (ratios, records) = try Self.incomes(profile, miners, queries: 80, runs: 16)
    print(
      "earned capacity, \(profile.rawValue), seeds \(Self.base)…: tested in full every time \(ratios[0]),")
    print("  asked by users alone \(ratios[1])")
    for ratio in ratios.prefix(2) {
      #expect(ratio.mean + ratio.wideHalfWidth >= 0.995, "less; seeds from \(Self.base)")
      #expect(ratio.mean - ratio.wideHalfWidth > 0.95, "or too uncertain to say; seeds from \(Self.base)")
    }
    let (heavy, usual) = (records.map { $0[0].asked }, records.map { $0[2].asked })
    #expect(heavy.reduce(0, +) > 3 * usual.reduce(0, +), "seeds from \(Self.base)")
  }
}
