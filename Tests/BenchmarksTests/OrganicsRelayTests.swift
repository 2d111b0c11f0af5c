import Common
import Testing

@testable import vision_bench

/// Which measurements of the relay were not disturbed.
@Suite("Measurements of the relay")
struct OrganicsRelayTests {
  @IO private func round(_ stoodStill: Double?) -> OrganicsBench.Round {
    .init(times: .init(), stoodStill: stoodStill, longestStall: stoodStill)
  }

  @Test(
    "are quiet where the machine did not stand still, and where nobody can tell",
    arguments: [
      ([0.1, 3.0, 0.5, 0.6], [0.1, 0.5]), ([2.0, 0.7], []), ([nil, nil], [nil, nil]), ([], []),
    ] as [([Double?], [Double?])])
  @IO func quiet(stalls: [Double?], wanted: [Double?]) {
    #expect(OrganicsBench.quiet(stalls.map { round($0) }).map(\.stoodStill) == wanted)
  }
}
