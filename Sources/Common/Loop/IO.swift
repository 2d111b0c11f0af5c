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

  /// As the other form, for what is called for every piece of an answer: the body is given what it would else
  /// capture, and nothing is allocated.
  public static nonisolated func assumeIsolated<Context, T>(
    _ context: Context, _ body: @escaping @IO (Context) -> T
  ) -> T {
    EventLoop.shared.checkIsolated()
    return assumeOnLoop(context, body)
  }

  /// The same, without the check: for the loop itself.
  static nonisolated func assumeOnLoop<Context, T>(
    _ context: Context, _ body: @escaping @IO (Context) -> T
  ) -> T {
    unsafeBitCast(body, to: ((Context) -> T).self)(context)
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
