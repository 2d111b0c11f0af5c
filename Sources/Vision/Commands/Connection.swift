import Common

/// The settings and the queue of a command that talks to Redis once.
enum Connection {
  /// What such a command can be told.
  static let settings =
    CommonSettings.redis + [CommonSettings.namespace, CommonSettings.logLevel, CommonSettings.logFormat]

  /// Why a command could not do its work.
  struct Failure: ExitCodeProviding, CustomStringConvertible {
    let description: String
    let exitCode: ExitCode
  }

  /// A client that is not connected yet.
  /// - Throws: `Failure` when the settings name no address.
  @IO static func client(_ settings: Settings) throws(Failure) -> RedisClient {
    do throws(RedisError) {
      return RedisClient(address: try settings.redisAddress(), options: .init(name: "vision"))
    } catch {
      throw Failure(description: error.message, exitCode: .usage)
    }
  }

  /// Runs `body` with the queue.
  /// - Throws: `Failure` with the exit code for an unavailable Redis when it cannot be reached.
  @IO static func withQueue<T>(
    _ settings: Settings, _ body: @IO (JobQueue) async throws -> T
  ) async throws -> T {
    let redis = try client(settings)
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
