/// Redis is there and must not be used; the description says why.
public struct RedisUnfit: ExitCodeProviding, Equatable, CustomStringConvertible {
  /// One line.
  public let description: String
  /// Somebody has to change Redis's settings or its address; then the same call succeeds.
  public var exitCode: ExitCode { .unavailable }
}

/// What a long-running program does first.
public enum RedisStart {
  /// The pause between two lines about a Redis that is away, in ms.
  static let complaintMilliseconds = 30_000

  /// Waits until the Redis of the settings answers, and looks at how it is set.
  /// - Returns: false when the program was asked to stop first.
  /// - Throws: ``RedisUnfit`` for a server that would lose jobs or cannot run the scripts, or that refuses
  ///   to tell; `RedisError` for an address that makes no sense.
  @IO public static func isReady(_ context: ServiceContext) async throws -> Bool {
    var options = RedisClient.Options(name: "vision-start")
    options.commandTimeoutMilliseconds = 2_000
    let redis = RedisClient(address: try context.settings.redisAddress(), options: options)
    return try await isReady(redis, log: context.log, stopping: context.stopping)
  }

  /// The same with a client, which is closed afterwards.
  @IO static func isReady(
    _ redis: RedisClient, log: Log, stopping: Signal, pauseMilliseconds: Int = 500
  ) async throws(RedisUnfit) -> Bool {
    // Ends a wait for a connection, too.
    let watch = stopping.onFire { redis.close() }
    defer {
      stopping.forget(watch)
      redis.close()
    }
    var nextComplaint = Monotonic.now()
    var hasComplained = false
    while !stopping.isFired {
      let reason: String
      do throws(RedisError) {
        let check = try await RedisCheck.read(redis)
        if !check.isLoading {
          if let refusal = check.refusal { throw RedisError(.server, refusal) }
          for warning in check.warnings { log.warning("Redis should be set otherwise", ["why": warning]) }
          if hasComplained { log.info("Redis answers") }
          return true
        }
        reason = "Redis is reading its data"
      } catch {
        guard error.isTransient || stopping.isFired else { throw RedisUnfit(description: error.message) }
        reason = error.message
      }
      if !stopping.isFired, Monotonic.now() >= nextComplaint {
        log.warning("waiting for Redis", ["why": reason])
        hasComplained = true
        nextComplaint = Monotonic.now().advanced(milliseconds: complaintMilliseconds)
      }
      await EventLoop.shared.sleep(milliseconds: pauseMilliseconds, orUntil: stopping)
    }
    return false
  }
}
