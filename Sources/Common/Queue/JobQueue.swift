/// The queue on Redis: one method for each script, safe to repeat when a reply was lost.
@IO
public final class JobQueue {
  /// The keys of the shard.
  public let keys: Keys
  /// The connection that the scripts run on.
  public let redis: RedisClient
  let clock: Script.Clock

  /// The longest time for which an operation is repeated while Redis cannot be reached.
  public var patienceMilliseconds = 30_000

  /// A queue on the given connection.
  public init(redis: RedisClient, keys: Keys, clock: Script.Clock = .redis) {
    self.redis = redis
    self.keys = keys
    self.clock = clock
  }

  /// Runs a script. While Redis is away, or its reply was lost, the same call is made again: every script
  /// recognises its own repetition.
  /// - Parameter bytes: about how many bytes the arguments take.
  /// - Throws: the last error once `patienceMilliseconds` have passed, or at once one that repeating cannot
  ///   mend.
  func run(
    _ script: Script, bytes: Int = 240, _ arguments: (inout RedisCommand) -> Void
  ) async throws(RedisError) -> RedisReply {
    try await patiently { () async throws(RedisError) in try await attempt(script, bytes, arguments) }
  }

  /// Sends a command that changes nothing, and again while Redis is away or when its reply was lost.
  /// - Throws: as ``run(_:bytes:_:)``.
  func read(_ words: String...) async throws(RedisError) -> RedisReply {
    let command = RedisCommand(words: words)
    return try await patiently { () async throws(RedisError) in try await redis.send(command) }
  }

  private func patiently(
    _ attempt: () async throws(RedisError) -> RedisReply
  ) async throws(RedisError) -> RedisReply {
    let deadline = Monotonic.now().advanced(milliseconds: patienceMilliseconds)
    while true {
      do throws(RedisError) {
        return try await attempt()
      } catch {
        guard error.isTransient, Monotonic.now() < deadline, !Task.isCancelled else { throw error }
        await EventLoop.shared.sleep(milliseconds: 20)
      }
    }
  }

  private func attempt(
    _ script: Script, _ bytes: Int, _ arguments: (inout RedisCommand) -> Void
  ) async throws(RedisError) -> RedisReply {
    let digest = try await digest(of: script)
    let suffix = script.isReadOnly ? "_RO" : ""
    do throws(RedisError) {
      return try await redis.send(command("EVALSHA" + suffix, digest, script, bytes, arguments))
    } catch {
      guard error.code == .noScript else { throw error }
    }
    // Redis knows scripts by their digest and forgets them when it restarts, at any moment: only the text
    // itself is sure to run. It is known by its digest from then on.
    return try await redis.send(
      command("EVAL" + suffix, script.source(clock: clock), script, bytes, arguments))
  }

  private static var digests: [Script.Clock: [Script: String]] = [:]

  /// A script's digest, which follows from its text alone, is asked for once in the life of the process.
  private func digest(of script: Script) async throws(RedisError) -> String {
    if let known = JobQueue.digests[clock]?[script] { return known }
    let loaded = try await redis.send(RedisCommand("SCRIPT", "LOAD", script.source(clock: clock)))
    guard let digest = loaded.text else {
      throw RedisError(.unexpectedReply, "SCRIPT LOAD gave no digest for \(script.rawValue)")
    }
    JobQueue.digests[clock, default: [:]][script] = digest
    return digest
  }

  private func command(
    _ verb: String, _ body: String, _ script: Script, _ bytes: Int,
    _ arguments: (inout RedisCommand) -> Void
  ) -> RedisCommand {
    var command = RedisCommand(words: [verb, body], capacity: body.utf8.count + 500 + bytes)
    let fixed = JobQueue.fixedKeys(script)
    command.add(fixed.count)
    for key in fixed { command.add(keys.fixed(key)) }
    arguments(&command)
    return command
  }

  private static var fixedKeysByScript: [Script: [Keys.Fixed]] = [:]

  /// The header is read once for each script.
  private static func fixedKeys(_ script: Script) -> [Keys.Fixed] {
    if let known = fixedKeysByScript[script] { return known }
    let read = script.keys
    fixedKeysByScript[script] = read
    return read
  }

  /// A reply that does not have the documented shape.
  func unexpected(_ script: Script, _ reply: RedisReply) -> RedisError {
    RedisError(.unexpectedReply, "\(script.rawValue) answered \(String(describing: reply).prefix(200))")
  }
}

extension RedisCommand {
  /// Appends a list as the scripts read it: its count, then its elements.
  mutating func add(list: [String]) {
    add(list.count)
    for element in list { add(element) }
  }
}
