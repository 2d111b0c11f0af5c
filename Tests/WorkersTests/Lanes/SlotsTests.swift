import Common
import Testing

@testable import Workers

@Suite("Slots")
struct SlotsTests {
  @Test("keep at least a fifth, and at least one, for organics, whatever happens")
  func reserve() {
    for seed in UInt64(0)..<200 {
      var random = SeededRandom(seed: seed)
      var slots = Slots(total: 1 + random.below(50), reservedShare: random.uniform())
      #expect(Double(slots.reserved) >= Double(slots.total) * 0.2, "seed \(seed)")
      var running: [Bool] = []
      for _ in 0..<300 {
        let isOrganic = random.below(2) == 0
        if random.below(2) == 0, isOrganic ? slots.organicRoom > 0 : slots.syntheticRoom > 0 {
          slots.take(isOrganic: isOrganic)
          running.append(isOrganic)
        } else if let ended = running.popLast() {
          slots.free(isOrganic: ended)
        }
        #expect(slots.running <= slots.total, "seed \(seed)")
        #expect(slots.synthetics <= slots.total - slots.reserved, "seed \(seed)")
        if slots.organics < slots.reserved {
          #expect(slots.organicRoom > 0, "an organic waits beside a reserved slot; seed \(seed)")
        }
      }
    }
  }
}
