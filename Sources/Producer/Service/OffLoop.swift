/// Work that takes longer than the loop can wait.
enum OffLoop {
  /// Runs `work` on the system's threads, whichever executor the caller's task prefers.
  static func run<T: Sendable>(_ work: @escaping @Sendable () -> T) async -> T {
    await Task.detached { work() }.value
  }

  /// As the other form, for work that may fail.
  static func run<T: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> T
  ) async throws(Failure) -> T {
    try await run { () -> Result<T, Failure> in
      do throws(Failure) { return .success(try work()) } catch { return .failure(error) }
    }.get()
  }
}
