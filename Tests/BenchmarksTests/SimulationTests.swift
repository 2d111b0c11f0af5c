import Common
import Foundation
import Testing

@testable import vision_bench

@Suite("The routing simulation")
struct SimulationTests {
  func values(_ scenario: String, _ policy: SimPolicy.Type, seed: UInt64) -> [Double] {
    var scenario = SimScenario.make(scenario, seed: seed)
    // Long enough for the faults to show.
    scenario.length = 120_000
    return Simulation(scenario, policy: policy, seed: seed).run().values()
  }

  @Test("equal seeds give equal figures, and other seeds others")
  func reproducible() {
    let first = values("honest", RouterPolicy.self, seed: 7)
    #expect(first == values("honest", RouterPolicy.self, seed: 7))
    #expect(first != values("honest", RouterPolicy.self, seed: 8))
  }

  @Test(
    "a policy that knows the truth beats one that knows nothing, whatever is wrong",
    arguments: ["honest", "burst-429", "outage", "cheat"])
  func oracle(scenario: String) {
    let oracle = values(scenario, OraclePolicy.self, seed: 3)
    let random = values(scenario, RandomPolicy.self, seed: 3)
    #expect(oracle[SimFigure.goodput.rawValue] > random[SimFigure.goodput.rawValue])
    for figures in [oracle, random] {
      #expect((0...100).contains(figures[SimFigure.goodput.rawValue]))
      #expect((0...100).contains(figures[SimFigure.bad.rawValue]))
      #expect((0...1).contains(figures[SimFigure.fairness.rawValue]))
      #expect((1...5).contains(figures[SimFigure.amplification.rawValue]))
      #expect(figures[SimFigure.p50.rawValue] <= figures[SimFigure.p99.rawValue])
    }
  }

  @Test("the router is near the oracle among honest miners, and finds the bad ones among others")
  func ours() {
    let goodput = SimFigure.goodput.rawValue
    let honest = values("honest", RouterPolicy.self, seed: 5)[goodput]
    #expect(honest > values("honest", OraclePolicy.self, seed: 5)[goodput] - 5)
    let bad = SimFigure.bad.rawValue
    for scenario in ["stall", "flapping"] {
      let ours = values(scenario, RouterPolicy.self, seed: 5)
      let random = values(scenario, RandomPolicy.self, seed: 5)
      #expect(ours[bad] < random[bad] && ours[goodput] > random[goodput], "\(scenario)")
    }
  }

  @Test("events come in the order of their time, equal ones as they were added")
  func heap() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    var heap = SimHeap<Int>()
    var all: [(at: Double, order: Int)] = []
    for order in 0..<2_000 {
      let at = Double(random.below(50))
      heap.push(order, at: at)
      all.append((at, order))
    }
    var popped: [Int] = []
    while let next = heap.pop() { popped.append(next.element) }
    #expect(popped == all.sorted { ($0.at, $0.order) < ($1.at, $1.order) }.map(\.order), "seed \(seed)")
  }

  @Test("intervals are those of Student's t")
  func intervals() {
    #expect(abs(SimMean.quantile(freedom: 19) - 2.093) < 0.001)
    #expect(abs(SimMean.quantile(freedom: 4) - 2.776) < 0.02)
    let mean = SimMean([1, 2, 3, 4, 5, .nan])
    #expect(mean.mean == 3 && abs(mean.halfWidth - 1.963) < 0.02)
  }

  /// A scenario in which policy number n has a goodput of 90 - n.
  static let made = RouterStudy.Outcome(
    scenario: "made", about: "for a test",
    values: RouterStudy.policies.indices.map { policy in
      (0..<3).map { seed in
        SimFigure.allCases.map { $0 == .goodput ? 90 - Double(policy) + Double(seed) / 10 : 0.5 }
      }
    })

  @Test("the report names the best other policy and says whether each aim holds")
  func report() {
    let outcome = SimulationTests.made
    #expect(RouterStudy.policies[outcome.bestOther].name == "p2c peak-ewma")
    #expect(outcome.isBestOrTied && outcome.lead(over: outcome.bestOther).mean == 2)
    let aims = RouterBench.aims([outcome])
    #expect(aims.map(\.holds) == [true, false], "one scenario is fewer than nine")
    let table = RouterTable.scenario(outcome)
    for policy in RouterStudy.policies { #expect(table.contains("| \(policy.name) |")) }
    let svg = RouterPlot.svg([outcome])
    #expect(svg.components(separatedBy: "<circle").count - 1 == 2 * RouterStudy.policies.count)
    #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
  }
}
