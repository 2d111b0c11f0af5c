/// Earned capacity: a miner is credited with the volume that it has shown, not with what it declares.
///
/// 1. For each hotkey and task a *proven volume* is kept. The capacity that counts is the claim, or the
///    proven volume where that is less.
/// 2. A miner with a claim above its proven volume, and by lot one in sixteen of the others, is tested in
///    full: all its claims in the same period, so that hardware cannot be shown twice. A claim that failed
///    before is offered at most four times what was proven. The others are tested by the profile's share.
/// 3. Shown is the work of all good answers of the period, users' and test queries' alike. Who comes within
///    a query of its claim has proven it; who was asked for more than it could do, a query less than shown.
/// 4. What was asked for within the proven volume and not served is taken off it, unless nine tenths of all
///    that was asked for were served: faults cost in the period's score.
/// 5. A rate limit counts only as far as it refused whole queries within the proven volume.
/// 6. Of proven volume that is no longer claimed an eighth fades with each period.
///
/// docs/SCORING.md gives the formulas, and what a simulation of a hundred periods makes of cheats.
public enum EarnedCapacity {
  /// The part of a claim that must be proven for it to be tested by the profile's share. All but all of it:
  /// rounding does not count.
  static let provenPart = 0.999
  /// The part of what was asked for that counts as all of it.
  static let servedPart = 0.9
  /// How far short of its claim a miner may stay at most, as a part of the claim: the last query may not
  /// fit, and small claims are a few queries.
  static let shortPart = 0.1
  /// How often a miner whose claims are proven is tested in full all the same.
  public static let fullTestChance = 1.0 / 16
  /// At most so many times the proven volume is offered.
  public static let offerMax = 4.0
  /// Queries planned for a full test, as a multiple of what its volume needs at the expected volume per
  /// query: answers differ in length, and what the volume does not need is not sent.
  public static let queryMargin = 1.125
  /// The part of the proven volume above the claim that is forgotten with each period.
  public static let fade = 0.125
  /// The most volume that is kept as proven, in thousandths.
  public static let provenMilliMax = 1_000_000_000_000_000

  /// What one miner claims for one task in a period, and what it has proven, both in volume units per
  /// period of that length.
  public struct Claim: Sendable {
    /// The clamped claim.
    public var capacity: Double
    /// The proven volume.
    public var proven: Double

    /// A claim and its proof.
    public init(capacity: Double, proven: Double) {
      self.capacity = capacity
      self.proven = proven
    }

    /// Whether the claim is above what was proven.
    var isUnproven: Bool { capacity > 0 && proven < provenPart * capacity }
    /// The volume of a full test.
    public var fullTestVolume: Double { proven > 0 ? min(capacity, offerMax * proven) : capacity }
  }

  /// Whether all claims of one miner are tested in full in a period.
  /// - Parameters:
  ///   - claims: the miner's claims for all tasks.
  ///   - lot: a draw in [0, 1), of which the miner can know nothing.
  public static func testsInFull(_ claims: [Claim], lot: Double) -> Bool {
    lot < fullTestChance || claims.contains(where: \.isUnproven)
  }
}

/// What a period's end made of one claim.
public struct EarnedPeriod: Codable, Equatable, Sendable {
  /// What was claimed for the period, clamped, in volume units.
  public var claim: Double
  /// The capacity that counts, in volume units of this period.
  public var credit: Double
  /// The proven volume before, in thousandths per profile period.
  public var provenBefore: Int
  /// The proven volume after, in the same unit.
  public var proven: Int
  /// Rate limits above the proven volume, which do not count.
  public var forgiven: Int

  enum CodingKeys: String, CodingKey {
    case claim, credit, proven, forgiven
    case provenBefore = "proven_before"
  }
}

extension TaskConfig {
  /// The volume that one query is expected to bring: for images no more than the mean number of steps
  /// that is asked for, else `volumePerRequest`.
  public var expectedVolume: Double {
    guard kind == .image, let steps, let least = steps.first, let most = steps.last else {
      return volumePerRequest
    }
    return min(volumePerRequest, Double(least + most) / 2)
  }
}

extension ScoringProfile {
  /// A volume per profile period, kept in thousandths, as volume units of a period of the given length.
  public func volume(provenMilli: Int, periodSeconds: Int) -> Double {
    Double(provenMilli) / 1000 * Double(periodSeconds) / Double(claimSeconds)
  }

  /// What a period shows about a claim.
  /// - Parameters:
  ///   - counters: what the miner did in the period at the task.
  ///   - claim: the clamped claim, in volume units of this period.
  ///   - provenMilli: the volume proven before, in thousandths per profile period; 0 for a newcomer.
  ///   - queryVolume: the volume that a refused query stands for. Precondition: positive.
  ///   - periodSeconds: the length of the period.
  public func earned(
    _ counters: PeriodCounters, claim: Double, provenMilli: Int, queryVolume: Double, periodSeconds: Int
  ) -> EarnedPeriod {
    precondition(queryVolume > 0 && periodSeconds > 0)
    let claim = claim.finiteOrZero
    let before = volume(provenMilli: provenMilli, periodSeconds: periodSeconds)
    let shown = Double(counters.workMilli) / 1000
    let refused = Double(counters.rateLimits + counters.failures) * queryVolume
    let asked = shown + refused
    let missed = shown < asked * EarnedCapacity.servedPart ? max(min(asked, before) - shown, 0) : 0
    let short = min(queryVolume, claim * EarnedCapacity.shortPart)
    let isReached = shown > 0 && shown >= claim - short
    let proof = isReached ? max(shown, claim) : refused > 0 ? max(shown - queryVolume, 0) : shown
    let after = max(proof, before - missed)
    let faded = after - max(after - claim, 0) * EarnedCapacity.fade
    let milli = faded * 1000 * Double(claimSeconds) / Double(periodSeconds)
    let within = (max(before - shown, 0) / queryVolume).rounded(.down)
    return EarnedPeriod(
      claim: claim, credit: min(claim, after), provenBefore: provenMilli,
      proven: Int(min(milli.rounded(), Double(EarnedCapacity.provenMilliMax))),
      forgiven: counters.rateLimits - Int(min(within, Double(counters.rateLimits))))
  }

  /// The period's score under earned capacity: rate limits above the proven volume are left out, and the
  /// others count as whichever costs less, see ``lenientPeriodScore(total:rateLimits:failures:capacity:volume:)``.
  /// nil when nothing is left to score.
  public func periodScore(_ counters: PeriodCounters, earned: EarnedPeriod) -> Double? {
    guard earned.claim > 0 else { return nil }
    return lenientPeriodScore(
      total: counters.total - earned.forgiven, rateLimits: counters.rateLimits - earned.forgiven,
      failures: counters.failures, capacity: max(earned.credit, 1),
      volume: Double(counters.workMilli) / 1000)
  }

  /// The period's score in which a rate limit counts as itself or as a failure, whichever costs less: the
  /// greatest `periodScore` of which k of the a rate limits count as failures, 0 ≤ k ≤ a. So one more rate
  /// limit never costs more than one more failure would, which the original `vision` formula does not hold
  /// when a > b.
  ///
  /// With y = u/T the score as a function of k is a product of a rising and e falling linear factors, and
  /// has its only maximum at k = (1 − e + y(e·a − b)) / (y(1 + e)); for `vision` that is (a − b)/2. The whole
  /// numbers beside it are tried.
  public func lenientPeriodScore(
    total: Int, rateLimits: Int, failures: Int, capacity: Double, volume: Double
  ) -> Double? {
    func score(_ shifted: Double) -> Double? {
      let count = Int(max(0, min(shifted, Double(rateLimits))))
      return periodScore(
        total: total, rateLimits: rateLimits - count, failures: failures + count, capacity: capacity,
        volume: volume)
    }
    guard let plain = score(0) else { return nil }
    let floor = max(capacity, 1)
    let part = max(floor - volume.finiteOrZero, 0) / floor / Double(total)
    guard part > 0, rateLimits > 0 else { return plain }
    let power = Double(failureExponent)
    let slope = part * (power * Double(rateLimits) - Double(failures))
    let best = ((1 - power + slope) / (part * (1 + power))).rounded(.down)
    return [score(best), score(best + 1)].compactMap(\.self).reduce(plain, max)
  }
}
