import Common
import TestSupport
import Testing

@testable import Producer

@Suite("Full tests")
struct FullTestTests {
  /// With the first one a claim gets more than one query less than it needs.
  static let seeds: [UInt64] =
    [8_564_235_679_841_163_982] + (0..<4).map { _ in UInt64.random(in: 0 ... .max) }

  /// What would prove every claim of an input.
  private func proof(_ input: Planner.Input) -> ProvenVolumes {
    var proven: [String: [String: Int]] = [:]
    for (place, task) in input.tasks.enumerated() {
      for (miner, claims) in zip(input.miners, input.claims) {
        proven[task.name, default: [:]][miner.hotkey] = Int(((claims?[place] ?? 0) * 1000).rounded(.up))
      }
    }
    return ProvenVolumes(proven)
  }

  @Test("a newcomer is tested with its whole claim, and enough queries for it", arguments: seeds)
  func newcomers(seed: UInt64) throws {
    for profile in ProfileName.allCases {
      var input = try Fixture.input(seed: seed, profile: profile)
      input.proven = ProvenVolumes()
      let snapshot = try Planner.snapshot(input)
      #expect(snapshot.testVolumes == snapshot.capacities, "seed \(seed)")
      #expect(snapshot.earnedCapacity == true)
      for (task, config) in input.tasks.enumerated() {
        for (volume, count) in zip(snapshot.testVolumes[task], snapshot.counts[task]) where volume > 0 {
          let needed = volume * EarnedCapacity.queryMargin / config.expectedVolume
          // `nineteen` rounds a task's queries down together before it spreads them in whole ones.
          let missing = profile == .nineteen ? 2.0 : 1.0
          #expect(Double(count) > needed - missing - 1e-6 && Double(count) < needed + 1, "seed \(seed)")
        }
      }
    }
  }

  @Test("proven claims are tested by the profile's share, but for one miner in sixteen", arguments: seeds)
  func proven(seed: UInt64) throws {
    var input = try Fixture.input(seed: seed, miners: 600)
    input.proven = proof(input)
    let snapshot = try Planner.snapshot(input)
    var full = 0
    for (miner, claims) in input.claims.enumerated() where claims?.contains(where: { $0 > 0 }) == true {
      let pairs = snapshot.tasks.indices.filter { snapshot.capacities[$0][miner] > 0 }
      let inFull = pairs.count { snapshot.testVolumes[$0][miner] == snapshot.capacities[$0][miner] }
      #expect(inFull == 0 || inFull == pairs.count, "all or none, seed \(seed)")
      if inFull > 0 { full += 1 }
    }
    #expect((10...70).contains(full), "seed \(seed)")
  }

  @Test("one unproven claim brings all claims of its miner to the test, and nobody else's", arguments: seeds)
  func wholeMiner(seed: UInt64) throws {
    var input = try Fixture.input(seed: seed)
    input.claims = input.claims.map { _ in [900, 900, 900, 0] }
    input.proven = proof(input)
    let before = try Planner.snapshot(input)
    input.proven?.proven["chat-b"]?["hotkey-2"] = 100_000
    let after = try Planner.snapshot(input)
    for task in 0..<3 {
      #expect(after.testVolumes[task][2] == (task == 1 ? 400 : 900), "seed \(seed)")
      for miner in input.miners.indices where miner != 2 {
        #expect(after.testVolumes[task][miner] == before.testVolumes[task][miner], "seed \(seed)")
      }
    }
  }

  @Test("images are expected to bring the steps that are asked for, and no more than a query stands for")
  func expectedVolume() throws {
    let tasks = try Fixture.config(tasks: [
      Fixture.task("face", kind: "image", shape: "text-to-image", weight: 0.5, volumePerRequest: 10),
      Fixture.task("chat", weight: 0.5, volumePerRequest: 10),
    ]).tasks
    #expect(tasks[0].expectedVolume == 7.5 && tasks[1].expectedVolume == 10)
  }

  @Test("a producer plans by what is published, and takes what it cannot read for nothing")
  @IO func published() async throws {
    for text in [nil, "{}", "{\"proven\":{},\"version\":9}"] {
      try await Bench.with(miners: 2) { bench in
        if let text {
          _ = try await bench.queue.redis.send("SET", bench.queue.keys.fixed(.proven), text)
        }
        _ = try await bench.producer().runOnce()
        let snapshot = try await bench.onlyPeriod().snapshot
        #expect(snapshot.testVolumes == snapshot.capacities)
      }
    }
    try await Bench.with(miners: 40) { bench in
      var proven: [String: [String: Int]] = [:]
      for miner in 0..<40 {
        for task in ["chat-a", "chat-b"] { proven[task, default: [:]]["hotkey-\(miner)"] = 100_000_000 }
      }
      #expect(try await bench.queue.lead(role: "aggregator", token: "a", lifeMilliseconds: 60_000))
      let publication = JobQueue.Publication(
        weights: nil, about: ["period", "1"], result: "{}", keep: 1,
        proven: try ProvenVolumes(proven).encoded())
      let saved = try await bench.queue.checkpoint(
        leader: "a", from: "", to: "1-1", state: [1], publication: publication)
      #expect(saved == .ok)
      _ = try await bench.producer().runOnce()
      let snapshot = try await bench.onlyPeriod().snapshot
      let full = zip(snapshot.testVolumes[0], snapshot.capacities[0]).count { $0 == $1 }
      #expect(full < 20)
    }
  }
}
