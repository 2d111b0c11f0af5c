extension IO {
  /// Starts a task on the event loop. Its continuations resume on the loop as well: a plain `Task` would
  /// pass through the global pool each time it was resumed, and wait there when the pool is busy.
  @discardableResult
  public static nonisolated func task<Value: Sendable>(
    _ body: @escaping @IO @Sendable () async -> Value
  ) -> Task<Value, Never> {
    Task(executorPreference: EventLoop.shared) { await body() }
  }

  /// As the other form, for work that can throw.
  @discardableResult
  public static nonisolated func task<Value: Sendable>(
    _ body: @escaping @IO @Sendable () async throws -> Value
  ) -> Task<Value, any Error> {
    Task(executorPreference: EventLoop.shared) { try await body() }
  }
}
