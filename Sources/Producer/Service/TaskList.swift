import Common

/// The tasks that gateways may ask for: one field for each in the hash `tasks`.
enum TaskList {
  /// By name, the JSON that a gateway reads: kind, shape, model and limits. Tasks that are switched off
  /// are not in it.
  static func fields(_ tasks: [TaskConfig]) -> [(name: String, json: String)] {
    tasks.filter { $0.weight > 0 }.map { task in
      var members: [String: JSON] = [
        "kind": .string(task.kind.rawValue), "shape": .string(task.shape.rawValue),
        "model": .string(task.model), "stream": .bool(task.streams),
        "timeout_ms": .integer(task.timeouts.totalMilliseconds),
        "first_content_ms": .integer(task.timeouts.firstContentMilliseconds),
      ]
      if let range = task.maxTokens { members["max_tokens"] = .array(range.map(JSON.integer)) }
      if let range = task.steps { members["steps"] = .array(range.map(JSON.integer)) }
      if let size = task.size { members["size"] = .array(size.map(JSON.integer)) }
      return (task.name, JSON.object(members).canonicalText())
    }
  }

  /// Publishes the list; tasks that are no longer in it disappear.
  @IO static func publish(_ tasks: [TaskConfig], on queue: JobQueue) async throws(RedisError) {
    let key = queue.keys.fixed(.tasks)
    let fields = fields(tasks)
    // New ones first: a task that stays is never missing.
    _ = try await queue.redis.send(
      RedisCommand(words: ["HSET", key] + fields.flatMap { [$0.name, $0.json] }))
    let names = Set(fields.map(\.name))
    let known = try await queue.redis.send("HKEYS", key).elements ?? []
    let stale = known.compactMap(\.text).filter { !names.contains($0) }
    if !stale.isEmpty { _ = try await queue.redis.send(RedisCommand(words: ["HDEL", key] + stale)) }
  }
}
