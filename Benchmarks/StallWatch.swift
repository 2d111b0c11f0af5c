import Foundation
import Glibc
import Synchronization

/// How long a core stood still meanwhile: a thread that goes before all others sleeps two milliseconds again and
/// again, and when it wakes more than one late, nothing else could run there either. On a virtual machine that is its
/// host.
final class StallWatch: Sendable {
  /// Times that the core stood still, in ms.
  struct Stalls {
    /// All of them together.
    var milliseconds = 0.0
    /// The longest.
    var worst = 0.0
  }

  private static let sleepMilliseconds = 2.0

  private struct State {
    /// nil without the right to go before all others.
    var stalls: Stalls?
    var isOver = false
  }

  private let state = Mutex(State())

  /// Begins to watch.
  init(core: Int) {
    Thread.detachNewThread { [self] in
      var priority = sched_param()
      // Before what is measured, too.
      priority.sched_priority = 2
      guard StallWatch.pin(to: core), sched_setscheduler(0, SCHED_FIFO, &priority) == 0 else { return }
      state.withLock { $0.stalls = Stalls() }
      while !state.withLock({ $0.isOver }) { look() }
    }
  }

  /// Ends it. Returns nil when it could not watch.
  func end() -> Stalls? {
    state.withLock { state in
      state.isOver = true
      return state.stalls
    }
  }

  /// Moves the calling thread to a core. Swift's headers lack this GNU function.
  private static func pin(to core: Int) -> Bool {
    typealias SetAffinity = @convention(c) (pid_t, Int, UnsafeRawPointer) -> Int32
    guard let symbol = dlsym(nil, "sched_setaffinity") else { return false }
    let setAffinity = unsafeBitCast(symbol, to: SetAffinity.self)
    var cores = cpu_set_t()
    let isKnown = withUnsafeMutableBytes(of: &cores) { bytes in
      guard bytes.indices.contains(core / 8) else { return false }
      bytes[core / 8] |= 1 << UInt8(core % 8)
      return true
    }
    return isKnown && setAffinity(0, MemoryLayout<cpu_set_t>.size, &cores) == 0
  }

  private func look() {
    let before = DispatchTime.now().uptimeNanoseconds
    usleep(UInt32(StallWatch.sleepMilliseconds * 1000))
    let late = Double(DispatchTime.now().uptimeNanoseconds - before) / 1e6 - StallWatch.sleepMilliseconds
    guard late > 1 else { return }
    state.withLock { state in
      let seen = state.stalls ?? Stalls()
      state.stalls = Stalls(milliseconds: seen.milliseconds + late, worst: max(seen.worst, late))
    }
  }
}
