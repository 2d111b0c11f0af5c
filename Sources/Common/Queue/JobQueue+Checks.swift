/// An answer that was leased to be checked.
public struct CheckGrant: Sendable {
  /// The check's id.
  public var id: String
  /// Proof of the lease.
  public var token: String
  /// The task's name.
  public var task: String
  /// The number of this attempt, from 1.
  public var attempt: Int
  /// What a checking server calls this check, when one was asked already; nil otherwise.
  public var remoteID: String?
  /// How often checking servers have tried it.
  public var tries: Int
  /// The attempt whose answer it is.
  public var entry: AttemptEntry
  /// The miner's index in the roster of the entry's period.
  public var miner: Int
  /// The answer as it was offered.
  public var answer: [UInt8]
}

extension JobQueue {
  /// Leases one answer; the first of `tasks` that has any decides the task. nil when none waits.
  /// - Parameter server: a name for the checking server, as it begins what ``noteCheck`` is given: the check
  ///   that this server was left with comes first, since it may still be at it. Empty for none.
  public func claimCheck(
    worker: String, nonce: String, leaseMilliseconds: Int, server: String = "", tasks: [String]
  ) async throws(RedisError) -> CheckGrant? {
    let reply = try await run(.claimCheck) { command in
      command.add(worker)
      command.add(nonce)
      command.add(leaseMilliseconds)
      command.add(server)
      command.add(list: tasks)
    }
    guard let items = reply.elements else { throw unexpected(.claimCheck, reply) }
    if items.isEmpty { return nil }
    guard items.count == 8, let id = items[0].text, let token = items[1].text, let task = items[2].text,
      let attempt = items[3].int, let remote = items[4].text, let fields = items[5].fields,
      case .attempt(let entry)? = LedgerCodec.entry(type: "attempt", fields), let answer = items[6].data,
      let tries = items[7].int
    else { throw unexpected(.claimCheck, reply) }
    return CheckGrant(
      id: id, token: token, task: task, attempt: attempt, remoteID: remote.isEmpty ? nil : remote,
      tries: tries, entry: entry, miner: fields["miner"].flatMap(Int.init) ?? 0, answer: answer)
  }

  /// Remembers what the checking server calls a check, and how often servers have tried it. Returns false
  /// when the lease was lost.
  /// - Parameter remoteID: the server and its name for the check with a space between; nil to forget it.
  public func noteCheck(
    id: String, token: String, remoteID: String?, tries: Int
  ) async throws(RedisError) -> Bool {
    let reply = try await run(.noteCheck) { command in
      command.add(id)
      command.add(token)
      command.add(remoteID ?? "")
      command.add(tries)
    }
    return reply.int == 1
  }

  /// Writes a verdict. Returns false when the lease was lost.
  public func settleCheck(
    id: String, token: String, state: VerdictEntry.State, score: Double?
  ) async throws(RedisError) -> Bool {
    let reply = try await run(.settleCheck) { command in
      command.add(id)
      command.add(token)
      command.add(state.rawValue)
      command.add(score.map { String($0) } ?? "")
    }
    return reply.int == 1
  }
}
