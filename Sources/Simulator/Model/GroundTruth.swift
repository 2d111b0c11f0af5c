import Common

/// What every miner is really worth, written before anything is measured, to hold scores against.
///
/// The honest value of a miner is, summed over the tasks, the task's weight × its share of the hardware
/// of all miners × its quality × the share of its answers that are of any use; the values of all miners
/// are then scaled to sum to 1.
struct GroundTruth {
  let population: Population

  /// The honest values, in the order of the miners. All zero when nobody is worth anything.
  func honestValues() -> [Double] {
    var values = [Double](repeating: 0, count: population.miners.count)
    for task in population.tasks {
      let throughputs = population.miners.map { $0.hardware[task.name]?.volumePerSecond ?? 0 }
      let sum = throughputs.reduce(0, +)
      guard sum > 0 else { continue }
      for (index, miner) in population.miners.enumerated() {
        let useful = miner.kind.faultIsUseless ? 1 - miner.faultShare : 1
        values[index] += task.weight * throughputs[index] / sum * miner.quality * useful
      }
    }
    let total = values.reduce(0, +)
    return total > 0 ? values.map { $0 / total } : values
  }

  /// The file's contents.
  func json(seed: UInt64) -> JSON {
    let miners = zip(population.miners, honestValues()).map(GroundTruth.describe)
    return .object([
      "version": .integer(1), "seed": .string(String(seed)), "miners": .array(miners),
      "tasks": .object(
        Dictionary(population.tasks.map { ($0.name, .number($0.weight)) }, uniquingKeysWith: { $1 })),
    ])
  }

  private static func describe(_ miner: MinerBehaviour, value: Double) -> JSON {
    var tasks: [String: JSON] = [:]
    for (name, hardware) in miner.hardware {
      tasks[name] = .object([
        "volume_per_second": .number(hardware.volumePerSecond), "claim": .number(miner.claim(task: name)),
        "honest_claim": .number(miner.honestClaim(task: name)),
        "units_per_second": .number(hardware.unitsPerSecond),
        "first_ms": .integer(hardware.firstMilliseconds), "in_flight_max": .integer(hardware.inFlightMax),
      ])
    }
    var fields: [String: JSON] = [
      "hotkey": .string(miner.hotkey), "uid": .integer(miner.uid), "behaviour": .string(miner.kind.rawValue),
      "fault_share": .number(miner.faultShare), "quality": .number(miner.quality),
      "honest_value": .number(value), "tasks": .object(tasks),
      "twin_of": miner.twinOf.map(JSON.string) ?? .null,
    ]
    if let type = miner.minerType { fields["miner_type"] = .string(type) }
    return .object(fields)
  }
}
