import Common

/// The commands that change what is queued.
enum QueueCommands {
  private static let classes = ["organic", "synthetic", "check", "intake"]

  static let pause = VisionCommand.Entry(
    name: "pause", about: "Stop a class of work: organic, synthetic, check or intake.",
    settings: Connection.settings, positionals: [.init("class", help: "What is to stop.")],
    work: { try await setPaused($0, true) })

  static let resume = VisionCommand.Entry(
    name: "resume", about: "Start a paused class of work again.", settings: Connection.settings,
    positionals: [.init("class", help: "What is to go on.")], work: { try await setPaused($0, false) })

  @IO private static func setPaused(_ context: ServiceContext, _ isPaused: Bool) async throws -> ExitCode {
    let name = context.settings.arguments.first ?? ""
    guard classes.contains(name) else {
      throw Connection.Failure(
        description: "unknown class '\(name.prefix(40))'; one of \(classes.joined(separator: ", "))",
        exitCode: .usage)
    }
    let changed = try await Connection.withQueue(context.settings) { queue in
      try await queue.pause(name, isPaused)
    }
    let state = isPaused ? "paused" : "running"
    print(changed ? "\(name) is \(state) now" : "\(name) was \(state) already")
    return .ok
  }

  static let cancel = VisionCommand.Entry(
    name: "cancel", about: "End a user's request: its reply gets the terminal entry at once.",
    settings: Connection.settings, positionals: [.init("job", help: "The id of the request.")],
    work: { context in
      let id = context.settings.arguments.first ?? ""
      let state = try await Connection.withQueue(context.settings) { try await $0.cancel(id: id) }
      switch state {
      case "cancelled":
        print("\(id) is cancelled")
        return .ok
      case "unknown": throw Connection.Failure(description: "there is no request \(id)", exitCode: .failed)
      default: throw Connection.Failure(description: "\(id) had ended already: \(state)", exitCode: .failed)
      }
    })

  static let dead = VisionCommand.Entry(
    name: "dead", about: "List the jobs that were given up, retry or drop one.",
    settings: Connection.settings + [
      Setting("limit", .integer(1...10_000), default: "50", help: "The most jobs that are listed.")
    ],
    positionals: [
      .init("action", help: "list (the default), retry or drop.", isOptional: true),
      .init("job", help: "The id, for retry and drop.", isOptional: true),
    ],
    work: { context in
      let words = context.settings.arguments
      switch (words.first ?? "list", words.count) {
      case ("list", 0...1): return try await listDead(context)
      case ("retry", 2), ("drop", 2): return try await revive(context, words[1], words[0])
      default:
        throw Connection.Failure(
          description: "use: vision dead list, vision dead retry JOB or vision dead drop JOB",
          exitCode: .usage)
      }
    })

  @IO private static func listDead(_ context: ServiceContext) async throws -> ExitCode {
    let limit = context.settings.int("limit")
    try await Connection.withQueue(context.settings) { queue in
      let reply = try await queue.redis.send(
        "ZRANGE", queue.keys.fixed(.dead), "0", String(limit - 1), "REV", "WITHSCORES")
      let items = reply.elements ?? []
      for index in stride(from: 0, to: items.count - 1, by: 2) {
        let id = items[index].text ?? ""
        let record = try await queue.redis.send("HMGET", queue.keys.job(id), "kind", "task", "reason")
        let words = (record.elements ?? []).map { $0.text ?? "-" }
        print("\(items[index + 1].text ?? "-") \(id) \(words.joined(separator: " "))")
      }
      if items.isEmpty { print("no dead jobs") }
    }
    return .ok
  }

  @IO private static func revive(
    _ context: ServiceContext, _ id: String, _ what: String
  ) async throws -> ExitCode {
    let result = try await Connection.withQueue(context.settings) { try await $0.revive(id: id, what) }
    switch result {
    case "retried", "dropped":
      print("\(id) is \(result)")
      return .ok
    case "too_late":
      throw Connection.Failure(
        description: "\(id) was counted as dead by its period and cannot run again; drop it",
        exitCode: .failed)
    default: throw Connection.Failure(description: "\(id) is not among the dead jobs", exitCode: .failed)
    }
  }
}
