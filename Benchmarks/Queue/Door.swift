import Common

/// The door as gateways use it: by its published functions.
enum Door {
  /// Pushes a request.
  /// - Returns: `created`, `duplicate`, or why it was refused.
  @IO static func submit(_ queue: JobQueue, id: String, task: String, payload: [UInt8]) async throws -> String
  {
    var command = RedisCommand("FCALL", "vision_submit_v1", "1", queue.keys.fixed(.organic), id, task)
    command.add(payload)
    let words = (try await queue.redis.send(command).elements ?? []).compactMap(\.text)
    return words.first == "refused" ? words[1] : words.first ?? ""
  }
}
