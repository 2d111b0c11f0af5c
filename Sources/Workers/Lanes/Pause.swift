import Common

/// Waiting for a time or an event, whichever comes first.
enum Pause {
  /// Waits `milliseconds`, or until `signal` fires.
  @IO static func wait(milliseconds: Int, orUntil signal: Signal) async {
    guard !signal.isFired else { return }
    let either = Signal()
    let timer = EventLoop.shared.after(milliseconds: milliseconds) { either.fire() }
    let watch = signal.onFire { either.fire() }
    await either.wait()
    timer.cancel()
    signal.forget(watch)
  }
}
