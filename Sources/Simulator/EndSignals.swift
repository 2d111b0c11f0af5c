import CShims
import Common
import Glibc

/// SIGTERM and SIGINT, read from a descriptor on the loop instead of handled in a signal handler.
@IO final class EndSignals: ReadinessHandler {
  private let arrived = Signal()

  /// Keeps both signals from ending the process. Call it before any other thread starts, which inherit
  /// it.
  nonisolated static func block() {
    var set = signals()
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Returns when one of them arrived. Blocked signals that came earlier count.
  static func wait() async {
    var set = signals()
    let fd = signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    guard fd >= 0 else { return }
    let handler = EndSignals()
    let registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: handler)
    await handler.arrived.wait()
    EventLoop.shared.unregister(registration)
    close(fd)
  }

  func fileIsReady(_ events: UInt32) { arrived.fire() }

  private nonisolated static func signals() -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    return set
  }
}
