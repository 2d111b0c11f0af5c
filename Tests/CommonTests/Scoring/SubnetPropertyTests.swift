import Foundation
import Testing

@testable import Common

/// A random subnet, as scoring sees it.
private struct Subnet {
  struct Miner {
    var hotkey: String
    var capacity: Double
    var rows: [QualityRow]
    var history: [HistoryRecord]
  }

  var profile: ScoringProfile
  var tasks: [(name: String, weight: Double, shape: PayloadShape, miners: [Miner])]

  init(using random: inout SeededRandom) {
    profile = random.below(2) == 0 ? .vision : .nineteen
    let raw = (0..<1 + random.below(4)).map { _ in random.below(6) == 0 ? 0 : random.uniform() }
    let sum = max(raw.reduce(0, +), 1e-9)
    tasks = []
    for (index, weight) in raw.enumerated() {
      let shape: PayloadShape = random.below(4) == 0 ? .avatar : .chat
      let miners = (0..<random.below(12)).map { Self.miner($0, &random) }
      tasks.append(("t\(index)", weight / sum, shape, miners))
    }
  }

  private static func miner(_ number: Int, _ random: inout SeededRandom) -> Miner {
    let qualities: [Double] = [0, 1, 1, 0.5, -10, 1.5, random.uniform()]
    let rows = (0..<random.below(20)).map { _ in
      QualityRow(
        quality: qualities[random.below(qualities.count)],
        speed: random.below(10) == 0 ? 1 : random.uniform() * 100)
    }
    let history = (0..<random.below(12)).map { _ in
      HistoryRecord(
        score: random.below(8) == 0 ? nil : random.uniform(),
        volume: random.below(5) == 0 ? 0 : random.uniform() * 1000)
    }
    return Miner(
      hotkey: "h\(number)", capacity: random.below(6) == 0 ? 0 : random.uniform() * 10_000, rows: rows,
      history: history)
  }

  var weights: SubnetWeights {
    let factors = tasks.map { task in
      let qualities = profile.qualities(shape: task.shape, rows: task.miners.map(\.rows))
      return TaskFactors(
        task: task.name, weight: task.weight,
        miners: zip(task.miners, qualities).map { miner, quality in
          MinerFactors(
            hotkey: miner.hotkey, capacity: miner.capacity, quality: quality,
            history: profile.history(miner.history))
        })
    }
    return profile.weights(profile.shared(factors))
  }

  /// The weights by hotkey; empty when nothing is set.
  var byHotkey: [String: Double] {
    if case .set(let weights) = weights { return weights }
    return [:]
  }
}

/// Properties of the weights over random subnets. `VISION_TEST_LONG=1` tries 10,000 of them.
@Suite("Properties of the weights")
struct SubnetPropertyTests {
  static let rounds: UInt64 = ProcessInfo.processInfo.environment["VISION_TEST_LONG"] == nil ? 500 : 10_000

  private static func subnets(_ check: (UInt64, Subnet, inout SeededRandom) -> Void) {
    for seed in 0..<rounds {
      var random = SeededRandom(seed: seed)
      let subnet = Subnet(using: &random)
      check(seed, subnet, &random)
    }
  }

  @Test("weights are finite, not negative and sum to 1, or nothing is set")
  func sound() {
    var set = 0
    Self.subnets { seed, subnet, _ in
      guard case .set(let weights) = subnet.weights else { return }
      set += 1
      #expect(weights.values.allSatisfy { $0.isFinite && $0 >= 0 }, "seed \(seed)")
      #expect(abs(weights.values.reduce(0, +) - 1) < 1e-9, "seed \(seed)")
    }
    // Both outcomes must occur, or the test says nothing.
    #expect(set > 0 && set < Int(Self.rounds))
  }

  @Test("renaming and reordering the miners renames the weights and changes no bit")
  func renaming() {
    Self.subnets { seed, subnet, random in
      var renamed = subnet
      for task in renamed.tasks.indices {
        renamed.tasks[task].miners.shuffle(using: &random)
        for miner in renamed.tasks[task].miners.indices {
          let hotkey = renamed.tasks[task].miners[miner].hotkey
          renamed.tasks[task].miners[miner].hotkey = String(hotkey.reversed()) + "x"
        }
      }
      let expected = subnet.byHotkey.map { (String($0.key.reversed()) + "x", $0.value) }
      #expect(renamed.byHotkey == Dictionary(uniqueKeysWithValues: expected), "seed \(seed)")
    }
  }

  @Test("equal miners get equal weights")
  func equality() {
    Self.subnets { seed, subnet, _ in
      var doubled = subnet
      for task in doubled.tasks.indices {
        for miner in doubled.tasks[task].miners where miner.hotkey == "h0" {
          var twin = miner
          twin.hotkey = "twin"
          doubled.tasks[task].miners.append(twin)
        }
      }
      let weights = doubled.byHotkey
      #expect(weights["twin"] == weights["h0"], "seed \(seed)")
    }
  }

  @Test("one miner's malformed figures count as none, and change nobody's weight")
  func poison() {
    let poisons: [Double] = [.nan, .infinity, -.infinity, -1]
    Self.subnets { seed, subnet, random in
      var (poisoned, without) = (subnet, subnet)
      for task in subnet.tasks.indices where !subnet.tasks[task].miners.isEmpty {
        let miner = random.below(subnet.tasks[task].miners.count)
        let poison = poisons[random.below(poisons.count)]
        switch random.below(4) {
        case 0:
          poisoned.tasks[task].miners[miner].capacity = poison
          without.tasks[task].miners[miner].capacity = 0
        case 1:
          poisoned.tasks[task].miners[miner].rows.append(QualityRow(quality: 1, speed: poison))
        case 2:
          let row = QualityRow(quality: poison < 0 ? .nan : poison, speed: 1)
          poisoned.tasks[task].miners[miner].rows.insert(row, at: 0)
        default:
          poisoned.tasks[task].miners[miner].history.insert(
            random.below(2) == 0
              ? HistoryRecord(score: poison, volume: 1) : HistoryRecord(score: 1, volume: poison), at: 0)
        }
      }
      #expect(poisoned.byHotkey == without.byHotkey, "seed \(seed)")
    }
  }
}

/// Properties of the period score.
@Suite("Properties of the period score")
struct PeriodScorePropertyTests {
  /// A random miner's period: attempts, capacity and volume.
  private static func periods(
    _ check: (UInt64, ScoringProfile, _ total: Int, _ capacity: Double, _ volume: Double) -> Void
  ) {
    for seed in 0..<SubnetPropertyTests.rounds {
      var random = SeededRandom(seed: seed)
      let capacity = random.uniform() * 10_000 + 1e-3
      let profile: ScoringProfile = random.below(2) == 0 ? .vision : .nineteen
      check(seed, profile, 1 + random.below(100), capacity, random.uniform() * capacity)
    }
  }

  @Test("a miner that says that it has no room never fares worse than one that fails")
  func rateLimits() throws {
    Self.periods { seed, profile, total, capacity, volume in
      for bad in [1, total / 2, total] {
        let refused = profile.periodScore(
          total: total, rateLimits: bad, failures: 0, capacity: capacity, volume: volume)!
        let failed = profile.periodScore(
          total: total, rateLimits: 0, failures: bad, capacity: capacity, volume: volume)!
        #expect(refused >= failed, "seed \(seed)")
        #expect((0...1).contains(refused) && (0...1).contains(failed), "seed \(seed)")
      }
    }
  }

  @Test("the fewer queries a miner got, and the less it did, the more a failure costs")
  func failures() {
    Self.periods { seed, profile, total, capacity, volume in
      func score(_ total: Int, _ volume: Double) -> Double {
        profile.periodScore(total: total, rateLimits: 0, failures: 1, capacity: capacity, volume: volume)!
      }
      #expect(score(total, volume) < score(total + 1, volume), "seed \(seed)")
      #expect(score(total, volume / 2) <= score(total, volume), "seed \(seed)")
    }
  }

  @Test("full use of the claim adds no penalty to the share of bad answers")
  func fullUse() {
    Self.periods { seed, profile, total, capacity, _ in
      let bad = total / 3
      let score = profile.periodScore(
        total: total, rateLimits: bad, failures: bad, capacity: capacity, volume: max(capacity, 1) * 1.5)
      #expect(score == Double(total - 2 * bad) / Double(total), "seed \(seed)")
    }
  }
}
