/// A job that is to be brought back to the queue's rules.
struct JobMend {
  var id: String
  /// Entries of its reply that do not belong there.
  var strays: [String] = []
  /// Whether a piece of its reply is missing.
  var hasGap = false
}

extension JobQueue {
  /// Brings jobs (50 at most) back to the queue's rules. Returns what was done with each, "" for nothing.
  func repair(
    _ jobs: ArraySlice<JobMend>, lanes: [String], leaseMilliseconds: Int
  ) async throws(RedisError) -> [String] {
    precondition(jobs.count <= 50)
    let reply = try await run(.repair) { command in
      command.add(leaseMilliseconds)
      command.add(list: lanes)
      command.add(jobs.count)
      for job in jobs {
        command.add(job.id)
        command.add(job.hasGap ? 1 : 0)
        command.add(list: job.strays)
      }
    }
    let done = (reply.elements ?? []).compactMap(\.text)
    guard done.count == jobs.count else { throw unexpected(.repair, reply) }
    return done
  }

  /// One small repair; the header of `mend.lua` lists them. Returns a count of what changed.
  @discardableResult
  func mend(_ what: String, _ arguments: [String]) async throws(RedisError) -> Int {
    let reply = try await run(.mend) { command in
      command.add(what)
      for argument in arguments { command.add(argument) }
    }
    guard let count = reply.int else { throw unexpected(.mend, reply) }
    return count
  }

  /// The tasks that have answers to check, by the keys there are (100 at most).
  func checkLanes() async throws(RedisError) -> [String] {
    let prefix = keys.check("")
    var cursor = "0"
    var found: Set<String> = []
    repeat {
      let reply = try await redis.send("SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000")
      cursor = reply[0]?.text ?? "0"
      found.formUnion((reply[1]?.elements ?? []).compactMap(\.text))
    } while cursor != "0"
    return found.sorted().prefix(100).map { String($0.dropFirst(prefix.count)) }
  }
}
