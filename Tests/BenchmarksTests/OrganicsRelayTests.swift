import Common
import Testing

@testable import vision_bench

/// Which measurements of the relay count.
@Suite("Measurements of the relay")
struct OrganicsRelayTests {
  @IO private func round(_ stoodStill: Double?) -> OrganicsBench.Round {
    .init(times: .init(), stoodStill: stoodStill, longestStall: stoodStill)
  }

  @Test(
    "count where the machine did not stand still, all of them where it always did, and where nobody can tell",
    arguments: [
      ([0.1, 3.0, 0.5, 0.6], [0.1, 0.5]), ([2.0, 0.7], [2.0, 0.7]), ([nil, nil], [nil, nil]), ([], []),
    ] as [([Double?], [Double?])])
  @IO func counting(stalls: [Double?], wanted: [Double?]) {
    #expect(OrganicsBench.counting(stalls.map { round($0) }).map(\.stoodStill) == wanted)
  }
}
