import Common

/// Something that does its due work when its tick comes.
protocol TickTarget: AnyObject {
  /// Does what is due at `now`. Returns when to be called again; nil when it is done.
  @IO func tick(now: Monotonic) -> Monotonic?
}

/// A hashed timing wheel (Varghese and Lauck 1987, scheme 6): all that is due in one tick runs
/// from one timer, so thousands of streams cost one wake-up per tick and none while nothing is due.
/// Targets run up to one tick late, never early.
@IO final class TickWheel {
  private static let slotCount = 512
  private let tickNanoseconds: Int

  private struct Entry {
    var tick: Int
    var target: any TickTarget
  }

  private let origin = Monotonic.now()
  private var slots = [[Entry]](repeating: [], count: TickWheel.slotCount)
  private var lastTick = 0
  private var timer: LoopTimer?
  private var armedTick = Int.max
  /// Targets that wait.
  private(set) var count = 0

  /// A wheel whose targets run up to `tickMilliseconds` late.
  init(tickMilliseconds: Int = 10) { tickNanoseconds = tickMilliseconds * 1_000_000 }

  /// Calls `target` at `moment`, rounded up to a tick. The wheel holds it until then.
  func add(_ target: any TickTarget, at moment: Monotonic) {
    let elapsed = moment.nanoseconds - origin.nanoseconds
    let tick = max(lastTick + 1, (elapsed + tickNanoseconds - 1) / tickNanoseconds)
    slots[tick % TickWheel.slotCount].append(Entry(tick: tick, target: target))
    count += 1
    if tick < armedTick { arm(tick) }
  }

  /// Calls `target` after `milliseconds`.
  func add(_ target: any TickTarget, afterMilliseconds milliseconds: Int) {
    add(target, at: Monotonic.now().advanced(milliseconds: milliseconds))
  }

  private func arm(_ tick: Int) {
    timer?.cancel()
    armedTick = tick
    let moment = Monotonic(nanoseconds: origin.nanoseconds + tick * tickNanoseconds)
    timer = EventLoop.shared.at(moment) { [weak self] in self?.fire() }
  }

  private func fire() {
    let now = Monotonic.now()
    let nowTick = (now.nanoseconds - origin.nanoseconds) / tickNanoseconds
    // After a long pause one round visits every slot; ticks decide what in it is due.
    let first = max(lastTick + 1, nowTick - TickWheel.slotCount + 1)
    armedTick = Int.max
    lastTick = max(lastTick, nowTick)
    for tick in stride(from: first, through: nowTick, by: 1) {
      run(slot: tick % TickWheel.slotCount, now: now)
    }
    armNext()
  }

  private func run(slot: Int, now: Monotonic) {
    guard !slots[slot].isEmpty else { return }
    let entries = slots[slot]
    slots[slot] = entries.filter { $0.tick > lastTick }
    for entry in entries where entry.tick <= lastTick {
      count -= 1
      if let next = entry.target.tick(now: now) { add(entry.target, at: next) }
    }
  }

  /// Waits for the next slot that holds anything, if only for a later round.
  private func armNext() {
    guard count > 0 else { return }
    for tick in (lastTick + 1)...(lastTick + TickWheel.slotCount)
    where !slots[tick % TickWheel.slotCount].isEmpty {
      if tick < armedTick { arm(tick) }
      return
    }
  }
}
