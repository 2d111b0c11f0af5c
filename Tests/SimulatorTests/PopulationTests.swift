import Testing

@testable import Common
@testable import Simulator

@Suite("A population of simulated miners")
struct PopulationTests {
  private static func make(_ seed: UInt64, cheats: Bool = true, profile: ProfileName = .vision) -> Population
  {
    Population(count: 24, cheats: cheats, subnet: SimulatedSubnet(profile: profile), seed: seed)
  }

  @Test("of 24 has 14 honest ones, and every cheat has an honest twin with equal hardware")
  func mix() throws {
    for seed in 0..<20 as Range<UInt64> {
      let miners = PopulationTests.make(seed).miners
      #expect(miners.filter { $0.kind == .honest }.count == 14)
      #expect(Set(miners.map(\.hotkey)).count == 24 && miners.map(\.uid) == Array(0..<24))
      for kind in [BehaviourKind.garbage, .alwaysRateLimited, .slowDrip, .truncates, .refuses] {
        let cheat = try #require(miners.first { $0.kind == kind })
        let twin = try #require(miners.first { $0.hotkey == cheat.twinOf })
        #expect(twin.kind == .honest && twin.hardware == cheat.hardware, "seed \(seed)")
        for task in cheat.hardware.keys { #expect(twin.claim(task: task) == cheat.claim(task: task)) }
      }
      let liar = try #require(miners.first { $0.kind == .claimsTenfold })
      #expect(liar.claim(task: "avatar") == 10 * liar.honestClaim(task: "avatar"))
    }
  }

  @Test("without cheats is honest")
  func honest() {
    #expect(PopulationTests.make(3, cheats: false).miners.allSatisfy { $0.kind == .honest })
  }

  @Test("follows from its seed")
  func seeds() {
    let text = { (seed: UInt64) in
      GroundTruth(population: PopulationTests.make(seed)).json(seed: 0).canonicalText()
    }
    #expect(text(7) == text(7))
    #expect(text(7) != text(8))
  }

  @Test("of nineteen has miners of one type each, with tasks of that type only")
  func types() {
    let population = PopulationTests.make(5, profile: .nineteen)
    let kinds = Dictionary(population.tasks.map { ($0.name, $0.kind) }, uniquingKeysWith: { $1 })
    #expect(Set(population.miners.map(\.minerType)) == ["text", "image"])
    for miner in population.miners {
      #expect(!miner.hardware.isEmpty)
      #expect(miner.hardware.keys.allSatisfy { (kinds[$0] == .text) == (miner.minerType == "text") })
    }
  }

  @Test("claims honestly no more than what counts")
  func clamp() {
    for seed in 0..<20 as Range<UInt64> {
      let population = PopulationTests.make(seed)
      for task in population.tasks {
        #expect(
          population.miners.allSatisfy { $0.honestClaim(task: task.name) <= task.maxCapacity },
          "seed \(seed)")
      }
    }
  }

  @Test("has honest values that sum to 1, nothing for those who serve nothing, and less for a cheat")
  func truth() throws {
    let population = PopulationTests.make(7)
    let values = GroundTruth(population: population).honestValues()
    #expect(abs(values.reduce(0, +) - 1) < 1e-12)
    for (index, miner) in population.miners.enumerated() where miner.kind.faultIsUseless {
      #expect(values[index] == 0)
    }
    let truth = GroundTruth(population: population).json(seed: 7)
    let refusing = try #require(population.miners.firstIndex { $0.kind == .refuses })
    let record = truth["miners"]?[refusing]
    #expect(record?["behaviour"]?.text == "refuses")
    #expect(record?["twin_of"]?.text == population.miners[refusing].twinOf)
    #expect((record?["tasks"]?["avatar"]?["claim"]?.double ?? 0) > 0)
  }

  @Test("is served on a port each, and the roster says where")
  func fleet() async throws {
    let population = PopulationTests.make(7)
    let (fleet, roster) = try await PopulationTests.start(population)
    #expect(roster["version"]?.int == 1 && roster["validator_hotkey"]?.text == "5Validator")
    var ports: Set<String> = []
    for miner in population.miners {
      let record = try #require(roster["miners"]?[miner.uid])
      let address = try #require(record["address"]?.text)
      ports.insert(address)
      let port = try #require(Int(address.dropFirst("http://127.0.0.1:".count)))
      let stats = await BlockingClient(port: port).send("GET", "/stats")
      #expect(stats.status == (miner.kind == .refuses ? 0 : 200))
      if stats.status == 200 { #expect(stats.json?["hotkey"] == record["hotkey"]) }
    }
    #expect(ports.count == 24)
    await fleet.stop()
  }

  @IO private static func start(_ population: Population) throws -> (MinerFleet, JSON) {
    let fleet = try MinerFleet(population, basePort: nil)
    try fleet.start()
    return (fleet, fleet.roster(validatorHotkey: "5Validator"))
  }
}
