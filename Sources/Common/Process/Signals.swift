import CShims
import Glibc

/// Receives signals on the event loop instead of in a handler that may interrupt anything.
///
/// A signal arrives here only where every thread blocks it: call ``block(_:)`` first thing in `main`,
/// since threads inherit what is blocked.
@IO
public final class SignalSource: ReadinessHandler {
  private let fd: Int32
  private var registration: EventLoop.Registration?
  private let received: @IO (Int32) -> Void

  /// Keeps `signals` from the calling thread and from all that it starts later.
  public nonisolated static func block(_ signals: [Int32]) {
    var set = mask(signals)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Calls `received` with each signal that arrives, until ``close()``.
  public init(_ signals: [Int32], received: @escaping @IO (Int32) -> Void) {
    var set = Self.mask(signals)
    fd = signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
    precondition(fd >= 0, "no signalfd: \(String(cString: strerror(errno)))")
    self.received = received
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  /// Stops receiving. The source is retained by the loop until then.
  public func close() {
    guard let registration else { return }
    self.registration = nil
    EventLoop.shared.unregister(registration)
    Glibc.close(fd)
  }

  /// Reads what is pending; the same signal sent twice before that is one.
  public func fileIsReady(_ events: UInt32) {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while registration != nil, read(fd, &info, size) == size { received(Int32(info.ssi_signo)) }
  }

  private nonisolated static func mask(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    return set
  }
}
