extension EventLoop {
  /// Runs `action` after `milliseconds`.
  @IO public func after(milliseconds: Int, _ action: @escaping @IO () -> Void) -> LoopTimer {
    timers.add(Monotonic.now().advanced(milliseconds: max(0, milliseconds)), action: action)
  }

  /// Runs `action` at `deadline`.
  @IO public func at(_ deadline: Monotonic, _ action: @escaping @IO () -> Void) -> LoopTimer {
    timers.add(deadline, action: action)
  }

  /// Waits for `milliseconds`; returns early when the task is cancelled.
  @IO public func sleep(milliseconds: Int) async {
    let pause = Signal()
    let timer = after(milliseconds: milliseconds) { pause.fire() }
    await pause.wait()
    timer.cancel()
  }

  /// Waits for `milliseconds`, or until `signal` fires; returns early when the task is cancelled.
  @IO public func sleep(milliseconds: Int, orUntil signal: Signal) async {
    guard !signal.isFired else { return }
    let either = Signal()
    let timer = after(milliseconds: milliseconds) { either.fire() }
    let watch = signal.onFire { either.fire() }
    await either.wait()
    timer.cancel()
    signal.forget(watch)
  }
}

/// A one-shot event on the loop with any number of waiters: fired once, it stays fired.
@IO
public final class Signal {
  private var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
  private var actions: [Int: @IO () -> Void] = [:]
  private var nextWaiter = 0
  /// Whether the event happened.
  public private(set) var isFired = false

  /// An event that has not happened.
  public nonisolated init() {}

  /// Makes the event happen and resumes everyone who waits. Later calls do nothing.
  public func fire() {
    guard !isFired else { return }
    isFired = true
    let resumed = waiters
    waiters = [:]
    let called = actions
    actions = [:]
    for waiter in resumed.values { waiter.resume() }
    for action in called.values { action() }
  }

  /// Calls `action` when the event happens, at once if it did. Returns what ``forget(_:)`` takes.
  public func onFire(_ action: @escaping @IO () -> Void) -> Int {
    nextWaiter += 1
    if isFired { action() } else { actions[nextWaiter] = action }
    return nextWaiter
  }

  /// Takes an action back that was given to ``onFire(_:)``.
  public func forget(_ watch: Int) { actions[watch] = nil }

  /// Waits for the event; returns early when the task is cancelled.
  public func wait() async {
    guard !isFired, !Task.isCancelled else { return }
    nextWaiter += 1
    let id = nextWaiter
    await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        // Asked again: on the way here the task may have left the loop and come back.
        if isFired || Task.isCancelled { continuation.resume() } else { waiters[id] = continuation }
      }
    } onCancel: {
      IO.task { @IO in self.waiters.removeValue(forKey: id)?.resume() }
    }
  }
}
