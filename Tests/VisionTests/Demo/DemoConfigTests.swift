import Common
import Foundation
import Testing

@testable import Vision

@Suite("The demo's task table")
struct DemoConfigTests {
  /// The shipped table of a profile, and the demo's.
  private func tables(_ profile: ProfileName) throws -> (shipped: SubnetConfig, demo: SubnetConfig) {
    let name = profile == .vision ? "vision.json" : "examples/nineteen.json"
    let data = try Data(contentsOf: URL(filePath: Project.file(name)))
    let changed = DemoConfig.Change(profile)(try JSON(parsing: data))
    return (
      try SubnetConfig(parsing: data), try SubnetConfig(parsing: Data(changed.canonicalText().utf8))
    )
  }

  @Test("asks for shorter answers, in nineteen more often, and stays a valid table")
  func denser() throws {
    for profile in ProfileName.allCases {
      let (shipped, demo) = try tables(profile)
      for (before, after) in zip(shipped.tasks, demo.tasks) {
        let share = profile == .vision ? 1 : before.kind == .text ? 0.3 : 0.25
        #expect(abs(after.volumePerRequest - before.volumePerRequest * share) < 1e-9)
        #expect(after.maxTokens == (before.kind == .text ? [50, profile == .vision ? 600 : 150] : nil))
        #expect(after.maxCapacity == before.maxCapacity && after.weight == before.weight)
      }
    }
  }

  @Test("asks the smallest claim of nineteen once or twice in a minute, as a newcomer's")
  func smallestClaim() throws {
    for task in try tables(.nineteen).demo.tasks {
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
