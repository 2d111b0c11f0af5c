import Common

/// Which miners are tested in full in a period, and with how much. A miner's draw and claims alone decide
/// about it: no other miner changes it.
struct FullTests {
  /// By task, then miner; nil for miners that are tested by the profile's share.
  private let volumes: [[Double?]]

  init(_ input: Planner.Input, capacities: [[Double]], profile: ScoringProfile) {
    guard let proven = input.proven?.proven else {
      volumes = capacities.map { $0.map { _ in nil } }
      return
    }
    let claims = zip(input.tasks, capacities).map { task, row in
      zip(input.miners, row).map { miner, capacity in
        EarnedCapacity.Claim(
          capacity: capacity,
          proven: profile.volume(
            provenMilli: proven[task.name]?[miner.hotkey] ?? 0, periodSeconds: input.lengthSeconds))
      }
    }
    let isFull = input.miners.enumerated().map { number, miner in
      var random = SeededRandom(seed: input.seed, "full", miner.hotkey)
      return EarnedCapacity.testsInFull(claims.map { $0[number] }, lot: random.uniform())
    }
    volumes = claims.map { row in zip(row, isFull).map { $1 ? $0.fullTestVolume : nil } }
  }

  /// The volume of a full test; nil when the miner is tested by the profile's share.
  func volume(task: Int, miner: Int) -> Double? { volumes[task][miner] }
}
