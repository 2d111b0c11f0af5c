extension ScoringProfile {
  /// The most queries that one miner and task get in a period.
  public static let queriesPerMinerMax = 100_000

  /// A claim as it counts in a period of the given length. A claim that is not a number, or negative,
  /// counts as 0; the rest is capped (`namoray/vision validation/core_validator.py`,
  /// `rayonlabs/nineteen validator/control_node/src/cycle/refresh_contenders.py`).
  /// - Parameters:
  ///   - claim: volume per `claimSeconds`.
  ///   - maxCapacity: the task's cap, in the same unit.
  ///   - stakeShare: the part of the miner's capacity that is this validator's, 0 to 1.
  ///   - periodSeconds: the actual length of the period.
  public func capacity(
    claim: Double, maxCapacity: Double, stakeShare: Double = 1, periodSeconds: Int
  ) -> Double {
    let capped = min(claim.finiteOrZero, maxCapacity.finiteOrZero) * min(stakeShare.finiteOrZero, 1)
    return periodSeconds == claimSeconds ? capped : capped * Double(periodSeconds) / Double(claimSeconds)
  }

  /// The part of a capacity to test this period: mostly a little, seldom nearly all of it
  /// (`namoray/vision validation/uid_manager.py`, `rayonlabs/nineteen … refresh_contenders.py`).
  /// - Parameter uniform: draws in [0, 1); at most three are taken.
  public func testedShare(uniform: () -> Double) -> Double {
    switch name {
    case .vision:
      if uniform() < 0.7 { return 0.05 }
      return uniform() < 0.9 ? 0.05 + 0.05 * uniform() : 0.4 + 0.4 * uniform()
    case .nineteen:
      if uniform() < 0.5 { return 0.04 }
      if uniform() < 0.8 { return 0.08 }
      return uniform() < 0.95 ? 0.12 : 0.8
    }
  }

  /// The part of a capacity to test this period, drawn from a generator.
  public func testedShare(using random: inout SeededRandom) -> Double {
    testedShare { random.uniform() }
  }

  /// How many synthetic queries each miner of a task gets.
  ///
  /// `vision`: what the miner's own test volume buys, at least one. `nineteen`: what the whole task's
  /// test volume buys, spread in proportion to the test volumes with largest remainders (ties to the
  /// earlier miner); the original chose the miner only when the query ran.
  /// - Parameters:
  ///   - testVolumes: volume to test per miner; a miner with none gets no query.
  ///   - volumePerRequest: the volume that one query stands for. Precondition: positive.
  public func queryCounts(testVolumes: [Double], volumePerRequest: Double) -> [Int] {
    precondition(volumePerRequest > 0)
    let wanted = testVolumes.map { min($0.finiteOrZero / volumePerRequest, Double(Self.queriesPerMinerMax)) }
    switch name {
    case .vision:
      return wanted.map { $0 > 0 ? max(Int($0), 1) : 0 }
    case .nineteen:
      let volumes = testVolumes.map(\.finiteOrZero)
      let bought = volumes.reduce(0, +) / volumePerRequest
      return Self.apportioned(Int(min(bought, wanted.reduce(0, +).rounded(.up))), by: wanted)
    }
  }

  /// Splits `total` into whole numbers in proportion to `quotas`, largest remainders first.
  static func apportioned(_ total: Int, by quotas: [Double]) -> [Int] {
    let sum = quotas.reduce(0, +)
    guard total > 0, sum > 0 else { return quotas.map { _ in 0 } }
    let exact = quotas.map { $0 / sum * Double(total) }
    var counts = exact.map { Int($0) }
    let byRemainder = exact.indices.sorted { left, right in
      let (a, b) = (exact[left] - Double(counts[left]), exact[right] - Double(counts[right]))
      return a != b ? a > b : left < right
    }
    for index in byRemainder.prefix(max(0, total - counts.reduce(0, +))) { counts[index] += 1 }
    return counts
  }

  /// When the queries of one miner and task run, in milliseconds after the period's start, ascending:
  /// one in each of `count` equal slices of the period, at a random point of the slice. Evenly spread,
  /// so that the load is; not predictable, so that a miner cannot prepare for the next one.
  public func placement(
    count: Int, periodMilliseconds: Int, using random: inout SeededRandom
  ) -> [Int] {
    (0..<max(0, count)).map { slice in
      let start = slice * periodMilliseconds / count
      let end = (slice + 1) * periodMilliseconds / count
      return end > start ? start + random.below(end - start) : start
    }
  }
}
