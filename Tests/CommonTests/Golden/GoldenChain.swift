@testable import Common

/// The recorded behaviour of `bittensor` 6.9.3 and `rayonlabs/fiber` on the way to the chain.
enum GoldenChain {
  static let rules: [String: GoldenRule] = [
    "fiber_quantize": GoldenRule(
      ours: { emitted($0["node_ids"]!, $0["node_weights"]!, .fiber) }, defect: unusual),
    "bittensor693_emit": GoldenRule(
      ours: { emitted($0["uids"]!, $0["weights"]!, .bittensor) }, defect: unusual),
    "bittensor693_normalize_max_weight": GoldenRule(
      tolerance: 1e-5,
      ours: { input in
        let weights = input["weights"]!.elements.map { $0.real! }
        return .array(ChainWeights.limited(weights, limit: input["limit"]!.real!).map(JSON.number))
      }),
    "bittensor693_process_weights": GoldenRule(
      tolerance: 1e-5,
      ours: { input in
        let entries = ChainWeights.processed(
          input["weights_by_uid"]!.elements.map { $0.real! },
          leastCount: input["min_allowed_weights"]!.int!, limit: input["max_weight_limit"]!.real!)
        return .object([
          "uids": .array(entries.map { .integer($0.uid) }),
          "weights": .array(entries.map { .number($0.weight) }),
        ])
      },
      defect: { input, _ in
        let earned = input["weights_by_uid"]!.elements.contains { $0.real!.isFinite && $0.real! > 0 }
        return earned ? nil : "nobody earned anything: the original pays everybody, we set nothing"
      }),
  ]

  static func emitted(_ uids: JSON, _ weights: JSON, _ emission: ChainWeights.Emission) -> JSON {
    let pairs = zip(uids.elements, weights.elements).map { (uid: $0.int!, weight: $1.real!) }
    let entries = ChainWeights.emitted(pairs, emission)
    return .array([
      .array(entries.map { .integer($0.uid) }), .array(entries.map { .integer(Int($0.value)) }),
    ])
  }

  static func unusual(_: JSON, _ output: JSON) -> String? {
    output.isError ? "the original raises: a weight that is negative or not finite counts as 0" : nil
  }
}
