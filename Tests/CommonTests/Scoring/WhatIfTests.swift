import Testing

@testable import Common

@Suite("What other task weights would do")
struct WhatIfTests {
  private let weights = [("a", 0.5), ("b", 0.3), ("c", 0.2)].map { TaskWeight(task: $0, weight: $1) }

  @Test("those that are not named keep their proportions and make up the rest")
  func rest() throws {
    let changed = try WhatIf.changed(weights, by: [TaskWeight(task: "a", weight: 0.75)])
    let expected = [0.75, 0.15, 0.1]
    for (one, value) in zip(changed, expected) { #expect(abs(one.weight - value) < 1e-15) }
    #expect(changed.map(\.task) == ["a", "b", "c"])
  }

  @Test("all of the weight can go to one task, and a task can get none")
  func extremes() throws {
    let all = try WhatIf.changed(weights, by: [TaskWeight(task: "b", weight: 1)])
    #expect(all.map(\.weight) == [0, 1, 0])
    let none = try WhatIf.changed(weights, by: [TaskWeight(task: "b", weight: 0)])
    #expect(abs(none[0].weight - 5.0 / 7) < 1e-15 && none[1].weight == 0)
  }

  @Test("a change to what is already there changes nothing, for any weights")
  func same() throws {
    for seed in 1...200 {
      var random = SeededRandom(seed: UInt64(seed))
      let weights = (0..<(2 + seed % 5)).map { TaskWeight(task: "t\($0)", weight: random.uniform()) }
      let changed = try WhatIf.changed(weights, by: [weights[0]])
      for (before, after) in zip(weights, changed) {
        #expect(abs(before.weight - after.weight) < 1e-12, "seed \(seed)")
      }
    }
  }

  @Test("a miner moves with the tasks that it earns at")
  func effects() {
    let profile = ScoringProfile.vision
    func miner(_ name: String) -> MinerFactors {
      MinerFactors(
        hotkey: name, capacity: 10, quality: TaskQuality(rows: 1, average: 1, speed: 1, combined: 1),
        history: HistoryScore(records: 9, mean: 1, multiplier: 1))
    }
    let shared = profile.shared([
      TaskFactors(task: "a", weight: 0.5, miners: [miner("one"), miner("both")]),
      TaskFactors(task: "b", weight: 0.5, miners: [miner("both")]),
    ])
    let effects = WhatIf.effects(
      shared, with: [TaskWeight(task: "a", weight: 1), TaskWeight(task: "b", weight: 0)], profile: profile)
    #expect(
      effects == [
        WhatIf.Effect(hotkey: "both", before: 0.75, after: 0.5),
        WhatIf.Effect(hotkey: "one", before: 0.25, after: 0.5),
      ])
  }
}
