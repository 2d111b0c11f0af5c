import Common
import Foundation

/// One of the twelve situations of the routing simulation.
struct SimScenario {
  var name: String
  /// In a few words, for the table.
  var about: String
  var miners: [SimMiner]
  /// Slots of each piece of hardware.
  var backends: [Int]
  /// Users' requests as a share of what all honest miners can do, at a time in ms.
  var load: (Double) -> Double

  /// Simulated time, ms; figures are of requests that arrive after the warm-up.
  var length = 240_000.0
  static let warmUp = 30_000.0
  static let minersCount = 24

  static let names = [
    "honest", "liar", "burst-429", "stall", "slow-drip", "flapping", "brown-out", "outage", "cheat",
    "sybils", "load-step", "cold-start",
  ]

  /// The scenario as drawn with a seed.
  static func make(_ name: String, seed: UInt64) -> SimScenario {
    var random = SeededRandom(seed: seed, "miners")
    let miners = (0..<minersCount).map { honest($0, &random) }
    var scenario = SimScenario(
      name: name, about: "", miners: miners, backends: miners.map(\.slots), load: { _ in 0.6 })
    scenario.apply(&random)
    return scenario
  }

  /// Paces from 6 to 60 ms, so speeds differ by ten times; times to the first token likewise.
  private static func honest(_ index: Int, _ random: inout SeededRandom) -> SimMiner {
    SimMiner(
      hotkey: "miner-\(index)", slots: 2 + random.below(11), pace: 6 * pow(10, random.uniform()),
      first: 60 * pow(10, random.uniform()), roundTrip: 10 + 90 * random.uniform(), backend: index)
  }

  /// Some miners, drawn.
  private func some(_ count: Int, _ random: inout SeededRandom) -> ArraySlice<Int> {
    miners.indices.shuffled(using: &random).prefix(count)
  }

  private mutating func apply(_ random: inout SeededRandom) {
    switch name {
    case "liar":
      about = "a third claims ten times its capacity"
      for index in some(8, &random) { miners[index].claimFactor = 10 }
    case "burst-429":
      about = "a third answers 429 for 5 s of every 15 s, half of them with Retry-After"
      for (number, index) in some(8, &random).enumerated() {
        let start = 15_000 * random.uniform()
        miners[index].fault = SimFault(
          kind: .rateLimits(retryAfterSeconds: number % 2 == 0 ? 3 : nil),
          spans: SimScenario.every(15_000, for: 5_000, from: start))
      }
    case "stall":
      about = "from 60 s on a quarter stops in the middle of 40 % of its answers"
      fault(6, .stalls(share: 0.4, afterTokens: 20), &random)
    case "slow-drip":
      about = "from 60 s on a quarter sends a token every 400 ms"
      fault(6, .drips(400), &random)
    case "flapping":
      about = "a quarter is unreachable for 30 s of every 60 s"
      for index in some(6, &random) {
        let start = 60_000 * random.uniform()
        miners[index].fault = SimFault(
          kind: .unreachable, spans: SimScenario.every(60_000, for: 30_000, from: start))
      }
    case "brown-out":
      about = "a third takes five times as long from 90 s to 180 s"
      fault(8, .slow(5), spans: [Span(from: 90_000, to: 180_000)], &random)
    case "outage":
      about = "half is unreachable from 90 s to 150 s; load 40 %"
      load = { _ in 0.4 }
      fault(12, .unreachable, spans: [Span(from: 90_000, to: 150_000)], &random)
    case "cheat":
      about = "from 60 s on a quarter answers fast and wrong"
      fault(6, .wrong, &random)
    case "sybils":
      about = "eight hotkeys share the hardware of one"
      let shared = some(8, &random)
      for index in shared {
        let (hotkey, first) = (miners[index].hotkey, miners[shared[shared.startIndex]])
        miners[index] = first
        miners[index].hotkey = hotkey
      }
    case "load-step":
      about = "load 30 %, three times as much from 90 s to 180 s"
      load = { Span(from: 90_000, to: 180_000).contains($0) ? 0.9 : 0.3 }
    case "cold-start":
      about = "a third joins at 90 s and takes 4 s longer for each answer until 105 s"
      for index in some(8, &random) {
        miners[index].joinsAt = 90_000
        miners[index].coldUntil = 105_000
      }
    default: about = "honest miners; speeds differ by ten times"
    }
  }

  private mutating func fault(
    _ count: Int, _ kind: SimFault.Kind, spans: [Span] = [Span(from: 60_000, to: .infinity)],
    _ random: inout SeededRandom
  ) {
    for index in some(count, &random) { miners[index].fault = SimFault(kind: kind, spans: spans) }
  }

  private static func every(_ period: Double, for length: Double, from start: Double) -> [Span] {
    stride(from: start - period, to: 240_000, by: period).map {
      Span(from: $0, to: $0 + length)
    }
  }

  /// Answers per second that the hardware can give while all miners do as they should.
  func capacity(at time: Double) -> Double {
    var seen: Set<Int> = []
    return miners.reduce(0) { sum, miner in
      guard miner.joinsAt <= time, seen.insert(miner.backend).inserted else { return sum }
      return sum + miner.capacity
    }
  }
}
