import Testing

@testable import Common
@testable import Simulator

@Suite("The tick wheel")
struct TickWheelTests {
  @IO private final class Target: TickTarget {
    let deadline: Monotonic
    var calls = 0
    var earliness = 0
    let again: Int
    let done: (@IO () -> Void)

    init(_ deadline: Monotonic, again: Int, done: @escaping @IO () -> Void) {
      self.deadline = deadline
      self.again = again
      self.done = done
    }

    func tick(now: Monotonic) -> Monotonic? {
      calls += 1
      earliness = max(earliness, deadline.nanoseconds - now.nanoseconds)
      guard calls > again else { return now.advanced(milliseconds: 15) }
      done()
      return nil
    }
  }

  @Test("calls every target, never early, as often as it asks to be called")
  @IO func calls() async {
    let wheel = TickWheel()
    let all = Signal()
    var left = 300
    let base = Monotonic.now()
    var random = SeededRandom(seed: 11)
    let targets = (0..<300).map { number in
      Target(base.advanced(milliseconds: random.below(120)), again: number % 3) {
        left -= 1
        if left == 0 { all.fire() }
      }
    }
    for target in targets { wheel.add(target, at: target.deadline) }
    await all.wait()
    #expect(wheel.count == 0)
    #expect(targets.allSatisfy { $0.earliness <= 0 })
    #expect(targets.enumerated().allSatisfy { $1.calls == $0 % 3 + 1 })
  }

  @Test("keeps a target that is more than one turn of the wheel away")
  @IO func farAway() async {
    let wheel = TickWheel()
    let near = Signal()
    var farFired = false
    let base = Monotonic.now()
    // The same slot, many turns later: a turn is 512 ticks of 10 ms.
    let far = base.advanced(milliseconds: 20 + 100 * 5120)
    wheel.add(Target(far, again: 0) { farFired = true }, at: far)
    wheel.add(Target(base, again: 0) { near.fire() }, at: base.advanced(milliseconds: 20))
    await near.wait()
    #expect(!farFired && wheel.count == 1)
  }
}
