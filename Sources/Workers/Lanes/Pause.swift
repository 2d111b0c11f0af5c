import Common

/// Waiting for a time or an event, whichever comes first.
enum Pause {
  /// Waits `milliseconds`, or until `signal` fires.
  @IO static func wait(milliseconds: Int, orUntil signal: Signal) async {
    await EventLoop.shared.sleep(milliseconds: milliseconds, orUntil: signal)
  }
}
