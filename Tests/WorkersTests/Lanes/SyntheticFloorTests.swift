import Common
import Testing

@testable import Workers

@Suite("The synthetics' share")
struct SyntheticFloorTests {
  let start = Monotonic(nanoseconds: 7_200_000_000_000)

  @Test("holds over an hour of users who take all there is, and leaves them the rest")
  func underLoad() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    var slots = Slots(total: 40, reservedShare: 0.2)
    var floor = SyntheticFloor(share: 0.1)
    var (organics, synthetics, now) = (0, 0, start)
    for _ in 0..<20_000 {
      now = now.advanced(milliseconds: random.below(360))
      if slots.organics > 0, random.below(2) == 0 { slots.free(isOrganic: true) }
      if slots.synthetics > 0, random.below(4) == 0 { slots.free(isOrganic: false) }
      // As a claim does it: users take all that is not kept, then synthetics what is left and theirs.
      let kept = floor.kept(slots, areDue: true, at: now)
      #expect(kept <= slots.syntheticRoom && kept + slots.synthetics <= 4, "seed \(seed)")
      let users = slots.organicRoom - kept
      for _ in 0..<users { slots.take(isOrganic: true) }
      let tests = min(kept, slots.syntheticRoom)
      for _ in 0..<tests { slots.take(isOrganic: false) }
      floor.started(organics: users, synthetics: tests, at: now)
      organics += users
      synthetics += tests
    }
    let share = Double(synthetics) / Double(organics + synthetics)
    #expect((0.09...0.11).contains(share), "\(share), seed \(seed)")
  }

  @Test("keeps nothing free when no synthetic is due, when they had their share, or when it is turned off")
  func keepsNothing() {
    let slots = Slots(total: 10, reservedShare: 0.2)
    var floor = SyntheticFloor(share: 0.1)
    #expect(floor.kept(slots, areDue: true, at: start) == 0)
    floor.started(organics: 50, synthetics: 0, at: start)
    #expect(floor.kept(slots, areDue: true, at: start) == 1)
    #expect(floor.kept(slots, areDue: false, at: start) == 0)
    floor.started(organics: 0, synthetics: 6, at: start)
    #expect(floor.kept(slots, areDue: true, at: start) == 0)
    var off = SyntheticFloor(share: 0)
    off.started(organics: 50, synthetics: 0, at: start)
    #expect(off.kept(slots, areDue: true, at: start) == 0)
  }

  @Test("forgets what is longer ago than an hour")
  func forgets() {
    let slots = Slots(total: 10, reservedShare: 0.2)
    var floor = SyntheticFloor(share: 0.1)
    floor.started(organics: 100, synthetics: 0, at: start)
    #expect(floor.kept(slots, areDue: true, at: start.advanced(milliseconds: 3_500_000)) == 1)
    #expect(floor.kept(slots, areDue: true, at: start.advanced(milliseconds: 3_700_000)) == 0)
  }
}
