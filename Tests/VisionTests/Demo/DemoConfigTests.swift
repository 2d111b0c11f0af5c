import Common
import Foundation
import Testing

@testable import Vision

@Suite("The demo's task table")
struct DemoConfigTests {
  @Test("asks more often for the same volume, and stays a valid table")
  func denser() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: root.appending(path: "examples/nineteen.json"))
    let shipped = try SubnetConfig(parsing: data)
    let denser = DemoConfig.denser(try JSON(parsing: data), share: 0.1)
    let config = try SubnetConfig(parsing: Data(denser.canonicalText().utf8))
    for (before, after) in zip(shipped.tasks, config.tasks) {
      #expect(abs(after.volumePerRequest * 10 - before.volumePerRequest) < 1e-9)
      #expect(after.maxCapacity == before.maxCapacity && after.weight == before.weight)
    }
  }

  @Test("gives ten in twenty-four miners a cheat's behaviour")
  func behaviours() {
    let kinds = DemoStack.behaviours(24)
    #expect(kinds.count == 24 && kinds.count { $0 == "honest" } == 14)
    #expect(Set(kinds).isSuperset(of: ["garbage", "always-429", "slow-drip", "truncates", "refuses"]))
  }
}
