import Common
import Foundation
import Testing

@testable import Vision

@Suite("The demo's task table")
struct DemoConfigTests {
  @Test("asks more often for the same volume, and stays a valid table")
  func denser() throws {
    let data = try Data(contentsOf: URL(filePath: Project.file("examples/nineteen.json")))
    let shipped = try SubnetConfig(parsing: data)
    let denser = DemoConfig.denser(try JSON(parsing: data), tokens: [50, 150]) { $0 == "text" ? 0.1 : 0.25 }
    let config = try SubnetConfig(parsing: Data(denser.canonicalText().utf8))
    for (before, after) in zip(shipped.tasks, config.tasks) {
      let factor = before.kind == .text ? 10.0 : 4
      #expect(abs(after.volumePerRequest * factor - before.volumePerRequest) < 1e-9)
      #expect(after.maxTokens == (before.kind == .text ? [50, 150] : nil))
      #expect(after.maxCapacity == before.maxCapacity && after.weight == before.weight)
    }
  }

  @Test("asks the smallest claim of nineteen once or twice in a minute, as a newcomer's")
  func smallestClaim() throws {
    let root = URL(filePath: Project.file("examples/nineteen.json"))
    let table = DemoConfig.denser(
      try JSON(parsing: Data(contentsOf: root)), tokens: DemoConfig.nineteenTokens,
      share: DemoConfig.nineteenVolumeShare)
    let config = try SubnetConfig(parsing: Data(table.canonicalText().utf8))
    for task in config.tasks {
      // A machine's size is 0.1 at least, its share of a task 0.8 of that (Simulator's Population).
      let claim = 0.1 * 0.8 * task.maxCapacity * 60 / 1800
      let queries = claim * EarnedCapacity.queryMargin / task.expectedVolume
      #expect(queries >= 0.5 && queries < 4, "\(task.name)")
    }
  }

  @Test("gives ten in twenty-four miners a cheat's behaviour")
  func behaviours() {
    let kinds = DemoStack.behaviours(24)
    #expect(kinds.count == 24 && kinds.count { $0 == "honest" } == 14)
    #expect(Set(kinds).isSuperset(of: ["garbage", "always-429", "slow-drip", "truncates", "refuses"]))
  }
}
