import Foundation

/// One miner's figures at one task, from which its share follows.
public struct MinerFactors: Codable, Equatable, Sendable {
  /// The miner.
  public var hotkey: String
  /// Capacity that counts, in volume units per period.
  public var capacity: Double
  /// Quality and speed of its answers.
  public var quality: TaskQuality
  /// Its past periods.
  public var history: HistoryScore
  /// capacity · quality · history.
  public var effectiveVolume: Double
  /// Its part of the task after the power, 0 to 1.
  public var share: Double

  enum CodingKeys: String, CodingKey {
    case hotkey, capacity, quality, history, share
    case effectiveVolume = "effective_volume"
  }

  /// Collects figures; the share is set by `ScoringProfile.shares`.
  public init(hotkey: String, capacity: Double, quality: TaskQuality, history: HistoryScore) {
    self.hotkey = hotkey
    self.capacity = capacity
    self.quality = quality
    self.history = history
    effectiveVolume = (capacity.finiteOrZero * quality.combined * history.normalised).finiteOrZero
    share = 0
  }
}

/// One task's miners and its share of the whole.
public struct TaskFactors: Codable, Equatable, Sendable {
  /// The task's name.
  public var task: String
  /// The task's weight.
  public var weight: Double
  /// The miners, each once.
  public var miners: [MinerFactors]

  /// Collects a task's miners.
  public init(task: String, weight: Double, miners: [MinerFactors]) {
    self.task = task
    self.weight = weight
    self.miners = miners
  }
}

/// The outcome of a weighing.
public enum SubnetWeights: Equatable, Sendable {
  /// Finite, non-negative weights by hotkey, with the sum 1.
  case set([String: Double])
  /// Nobody earned anything: nothing is set on the chain, for this reason.
  case nothing(reason: String)
}

extension ScoringProfile {
  /// Effective volumes as shares of their sum, each raised to the profile's power, and brought to the
  /// sum 1 again; all 0 when nobody has any volume (`…calculations.py`). A volume that is not finite, or
  /// negative, counts as 0.
  public func shares(effectiveVolumes: [Double]) -> [Double] {
    let volumes = effectiveVolumes.map(\.finiteOrZero)
    // Dividing by the largest first keeps the sum finite.
    guard let largest = volumes.max(), largest > 0 else { return volumes.map { _ in 0 } }
    let scaled = volumes.map { $0 / largest }
    let sum = scaled.sumInAnyOrder()
    let powers = scaled.map { pow($0 / sum, Double(shareExponent)) }
    let total = powers.sumInAnyOrder()
    return powers.map { $0 / total }
  }

  /// Fills in the miners' shares of each task.
  public func shared(_ tasks: [TaskFactors]) -> [TaskFactors] {
    tasks.map { task in
      var task = task
      let shares = shares(effectiveVolumes: task.miners.map(\.effectiveVolume))
      for (index, share) in shares.enumerated() { task.miners[index].share = share }
      return task
    }
  }

  /// Every miner's points: its shares times the tasks' weights, summed in the tasks' order.
  public func points(_ shared: [TaskFactors]) -> [String: Double] {
    var points: [String: Double] = [:]
    for task in shared {
      for miner in task.miners {
        points[miner.hotkey, default: 0] += miner.share * task.weight.finiteOrZero
      }
    }
    return points
  }

  /// The weights that follow from shared factors.
  public func weights(_ shared: [TaskFactors]) -> SubnetWeights {
    guard shared.contains(where: { !$0.miners.isEmpty }) else {
      return .nothing(reason: "no miner claims capacity")
    }
    let points = points(shared)
    let total = Array(points.values).sumInAnyOrder()
    guard total > 0 else { return .nothing(reason: "no miner has capacity, quality and a period score") }
    return .set(points.mapValues { $0 / total })
  }
}
