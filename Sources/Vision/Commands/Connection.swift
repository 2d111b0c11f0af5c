import Common

/// The settings and the queue of a command that talks to Redis once.
enum Connection {
  /// What such a command can be told.
  static let settings = [
    CommonSettings.redisURL, CommonSettings.redisPassword, CommonSettings.namespace,
    CommonSettings.logLevel, CommonSettings.logFormat,
  ]

  /// Why a command could not do its work.
  struct Failure: ExitCodeProviding, CustomStringConvertible {
    let description: String
    let exitCode: ExitCode
  }

  /// Runs `body` with the queue.
  /// - Throws: `Failure` with the exit code for an unavailable Redis when it cannot be reached.
  @IO static func withQueue<T>(
    _ settings: Settings, _ body: @IO (JobQueue) async throws -> T
  ) async throws -> T {
    let address: RedisAddress
    do throws(RedisError) {
      address = try settings.redisAddress()
    } catch {
      throw Failure(description: error.message, exitCode: .usage)
    }
    let redis = RedisClient(address: address, options: .init(name: "vision"))
    defer { redis.close() }
    let queue = JobQueue(redis: redis, keys: Keys(namespace: settings.string("namespace")))
    queue.patienceMilliseconds = 5_000
    do {
      return try await body(queue)
    } catch let error as RedisError {
      throw Failure(description: error.message, exitCode: error.isTransient ? .unavailable : .failed)
    }
  }
}
