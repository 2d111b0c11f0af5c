import Testing

@testable import Common

@Suite("What each factor costs a miner")
struct FactorGainsTests {
  static func random(_ seed: Int, _ profile: ScoringProfile) -> [TaskFactors] {
    var random = SeededRandom(seed: UInt64(seed))
    let miners = 2 + random.below(4)
    return profile.shared(
      (0..<(1 + random.below(3))).map { task in
        let rows = (0..<miners).map { _ in
          (0..<random.below(4)).map { _ in
            QualityRow(quality: random.uniform(), speed: random.uniform() * 2)
          }
        }
        let qualities = profile.qualities(shape: .chat, rows: rows)
        return TaskFactors(
          task: "t\(task)", weight: random.uniform(),
          miners: qualities.enumerated().map { index, quality in
            MinerFactors(
              hotkey: "m\(index)", capacity: random.uniform() * 100, quality: quality,
              history: HistoryScore(
                records: 3, mean: random.uniform(), multiplier: 0.25 + 0.75 * random.uniform()))
          })
      })
  }

  @Test(
    "no gain is negative, none lifts a weight above 1, and the first is the largest",
    arguments: [true, false])
  func bounds(isVision: Bool) {
    let profile: ScoringProfile = isVision ? .vision : .nineteen
    for seed in 1...500 {
      let shared = Self.random(seed, profile)
      let before = profile.weights(shared).byHotkey["m0"] ?? 0
      let gains = profile.gains(shared, of: "m0")
      for gain in gains {
        #expect(gain.gain >= 0 && gain.weight <= 1 + 1e-12 && gain.to > gain.from, "seed \(seed)")
        #expect(gain.weight >= before - 1e-12, "seed \(seed): \(gain)")
      }
      for (first, second) in zip(gains, gains.dropFirst()) {
        #expect(first.gain >= second.gain, "seed \(seed)")
      }
    }
  }

  @Test("a miner with everything at its best could gain nothing")
  func best() {
    let profile = ScoringProfile.vision
    let miner = MinerFactors(
      hotkey: "m", capacity: 5, quality: TaskQuality(rows: 2, average: 1, speed: 1.2, combined: 1.2),
      history: HistoryScore(records: 9, mean: 1, multiplier: 1))
    let shared = profile.shared([TaskFactors(task: "t", weight: 1, miners: [miner])])
    #expect(profile.gains(shared, of: "m") == [])
    #expect(profile.gains(shared, of: "stranger") == [])
  }

  @Test("a newcomer that is an equal's twin otherwise is told that it is new")
  func newcomer() throws {
    let profile = ScoringProfile.vision
    func miner(_ name: String, _ multiplier: Double) -> MinerFactors {
      MinerFactors(
        hotkey: name, capacity: 5, quality: TaskQuality(rows: 2, average: 1, speed: 1, combined: 1),
        history: HistoryScore(records: 1, mean: 1, multiplier: multiplier))
    }
    let shared = profile.shared([
      TaskFactors(task: "t", weight: 1, miners: [miner("old", 1), miner("new", 0.78125)])
    ])
    let gains = profile.gains(shared, of: "new")
    #expect(gains.count == 1)
    let gain = try #require(gains.first)
    #expect(gain.factor == "newcomer" && gain.from == 0.78125 && gain.to == 1)
    #expect(abs(gain.weight - 0.5) < 1e-15)
  }
}
