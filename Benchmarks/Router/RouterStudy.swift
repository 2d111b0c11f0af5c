import Common
import Foundation

/// A mean over seeds, with half the width of its 95 % confidence interval.
struct SimMean {
  let mean: Double
  let halfWidth: Double

  /// Values that are no number (nothing was answered) are left out.
  init(_ values: [Double]) {
    let values = values.filter(\.isFinite)
    let count = Double(values.count)
    let mean = values.isEmpty ? .nan : values.reduce(0, +) / count
    self.mean = mean
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    halfWidth =
      values.count < 2
      ? 0 : SimMean.quantile(freedom: count - 1) * (squares / (count - 1) / count).squareRoot()
  }

  /// Student's t for a probability of 97.5 %, by the expansion of Abramowitz and Stegun, 26.7.5.
  static func quantile(freedom: Double) -> Double {
    let z = 1.959964
    let (z3, z5, z7) = (pow(z, 3), pow(z, 5), pow(z, 7))
    return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * pow(freedom, 2))
      + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * pow(freedom, 3))
  }
}

/// All scenarios under all policies, over a range of seeds.
struct RouterStudy {
  struct Policy {
    let name: String
    let type: SimPolicy.Type
    /// Ours, or ours with something left out.
    var isOurs = false
    var isOracle = false
  }

  static let policies = [
    Policy(name: "ours", type: RouterPolicy.self, isOurs: true),
    Policy(name: "ours, no hedge", type: RouterWithoutHedgePolicy.self, isOurs: true),
    Policy(name: "p2c peak-ewma", type: PeakAveragePolicy.self),
    Policy(name: "least in flight", type: LeastInFlightPolicy.self),
    Policy(name: "lowest latency", type: LowestLatencyPolicy.self),
    Policy(name: "random", type: RandomPolicy.self),
    Policy(name: "round robin", type: RoundRobinPolicy.self),
    Policy(name: "earlier v4", type: QueueOfMinersPolicy.self),
    Policy(name: "earlier v6", type: ContendersPolicy.self),
    Policy(name: "oracle", type: OraclePolicy.self, isOracle: true),
  ]

  /// What a scenario came to: by policy, then seed, then figure.
  struct Outcome {
    let scenario: String
    let about: String
    let values: [[[Double]]]

    func mean(_ policy: Int, _ figure: SimFigure) -> SimMean {
      SimMean(values[policy].map { $0[figure.rawValue] })
    }

    /// By how many points the goodput of ours is above a policy's, seed by seed.
    func lead(over policy: Int) -> SimMean {
      let goodput = SimFigure.goodput.rawValue
      return SimMean(zip(values[0], values[policy]).map { $0[goodput] - $1[goodput] })
    }

    /// The best policy that is neither ours nor the oracle.
    var bestOther: Int {
      let others = RouterStudy.policies.indices.filter {
        !RouterStudy.policies[$0].isOurs && !RouterStudy.policies[$0].isOracle
      }
      return others.max { mean($0, .goodput).mean < mean($1, .goodput).mean } ?? 0
    }

    /// Ours is best, or not worse by more than chance.
    var isBestOrTied: Bool {
      let lead = lead(over: bestOther)
      return lead.mean + lead.halfWidth >= 0
    }
  }

  let seeds: ClosedRange<UInt64>

  /// Runs one scenario.
  func outcome(_ name: String) -> Outcome {
    let values = RouterStudy.policies.map { policy in
      seeds.map { seed in
        Simulation(SimScenario.make(name, seed: seed), policy: policy.type, seed: seed).run().values()
      }
    }
    let about = SimScenario.make(name, seed: seeds.lowerBound).about
    return Outcome(scenario: name, about: about, values: values)
  }
}
