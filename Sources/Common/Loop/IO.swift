/// The global actor of everything that touches sockets, timers or signals. Its executor is the event
/// loop, so code on it runs on one thread and needs no locks.
@globalActor
public actor IO {
  /// The actor's one instance.
  public static let shared = IO()

  /// The event loop of the process.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    EventLoop.shared.asUnownedSerialExecutor()
  }

  /// Enters the actor from a C callback or a handler that is known to run on the loop.
  /// Traps when it is called from any other thread.
  public static nonisolated func assumeIsolated<T>(_ body: @IO () throws -> T) rethrows -> T {
    EventLoop.shared.checkIsolated()
    return try assumeOnLoop(body)
  }

  /// As `assumeIsolated`, without the check: for the loop itself.
  static nonisolated func assumeOnLoop<T>(_ body: @IO () throws -> T) rethrows -> T {
    // A function's isolation is not part of how it is called: the cast takes the annotation off, as
    // the standard library does for MainActor.assumeIsolated.
    try withoutActuallyEscaping(body) { escaping in
      try unsafeBitCast(escaping, to: (() throws -> T).self)()
    }
  }
}
