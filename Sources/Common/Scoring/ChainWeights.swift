/// Weights as the chain takes them.
public enum ChainWeights {
  /// How weights become 16-bit numbers. Both make the largest 65535, round half to even, and leave out
  /// miners without weight.
  public enum Emission: Sendable {
    /// `bittensor` 6.9.3 `utils/weight_utils.py`: w / max · 65535; what rounds to 0 is left out.
    case bittensor
    /// `rayonlabs/fiber` `chain/weights.py`: w · (65535 / max); what rounds to 0 stays as 0.
    case fiber
  }

  /// One miner's weight as the chain takes it.
  public struct Entry: Equatable, Sendable {
    /// The miner's place on the subnet.
    public var uid: Int
    /// 0 to 65535.
    public var value: UInt16
  }

  /// The 16-bit form, in the given order. A weight that is not finite, or negative, counts as 0, where
  /// the originals raised an error. Empty when no weight is positive.
  public static func emitted(_ weights: [(uid: Int, weight: Double)], _ emission: Emission) -> [Entry] {
    guard let largest = weights.map(\.weight.finiteOrZero).max(), largest > 0 else { return [] }
    let factor = 65535 / largest
    return weights.compactMap { uid, weight in
      let weight = weight.finiteOrZero
      guard weight > 0 else { return nil }
      switch emission {
      case .bittensor:
        let value = (weight / largest * 65535).rounded(.toNearestOrEven)
        return value > 0 ? Entry(uid: uid, value: UInt16(value)) : nil
      case .fiber:
        // The factor of a tiny largest weight is infinite; dividing first is exact enough then.
        let exact = factor.isFinite ? weight * factor : weight / largest * 65535
        return Entry(uid: uid, value: UInt16(min(exact.rounded(.toNearestOrEven), 65535)))
      }
    }
  }

  /// Weights with the sum 1 of which none is above `limit`: what is cut off is shared out in proportion
  /// (`bittensor` 6.9.3 `utils/weight_utils.py`, `normalize_max_weight`). All equal when the limit leaves
  /// no other choice, or nobody has weight.
  public static func limited(_ weights: [Double], limit: Double) -> [Double] {
    let weights = weights.map(\.finiteOrZero)
    let uniform = weights.map { _ in 1 / Double(weights.count) }
    let sum = weights.sumInAnyOrder()
    guard sum > 0, sum.isFinite, Double(weights.count) * limit > 1 else { return uniform }
    let shares = weights.map { $0 / sum }
    // The largest ones are cut, as many as it takes until the next one fits under the cap that results.
    var uncut = shares.sorted()
    var cap = Double.infinity
    while let largest = uncut.last {
      let free = 1 - limit * Double(shares.count - uncut.count)
      let candidate = free > 0 ? limit * uncut.reduce(0, +) / free : 0
      if largest <= candidate { break }
      uncut.removeLast()
      let freeAfter = 1 - limit * Double(shares.count - uncut.count)
      guard freeAfter > 0 else { break }
      cap = limit * uncut.reduce(0, +) / freeAfter
    }
    let cut = shares.map { min($0, cap) }
    let total = cut.sumInAnyOrder()
    return total > 0 ? cut.map { $0 / total } : uniform
  }

  /// Weights by uid as the subnet's rules want them: when fewer than `leastCount` miners have weight,
  /// every uid gets a trace (`bittensor` 6.9.3, `process_weights_for_netuid`); then the limit applies.
  /// Empty when nobody has weight, where the original gave every uid of the subnet an equal one.
  public static func processed(
    _ weightsByUID: [Double], leastCount: Int, limit: Double
  ) -> [(uid: Int, weight: Double)] {
    let weights = weightsByUID.map(\.finiteOrZero)
    let positive = weights.indices.filter { weights[$0] > 0 }
    guard !positive.isEmpty else { return [] }
    if weights.count < leastCount { return weights.indices.map { ($0, 1 / Double(weights.count)) } }
    let uids = positive.count < leastCount ? Array(weights.indices) : positive
    let trace = positive.count < leastCount ? 1e-5 : 0
    let limited = limited(uids.map { weights[$0] + trace }, limit: limit)
    return zip(uids, limited).map { ($0, $1) }
  }
}
