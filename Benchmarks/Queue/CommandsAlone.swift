import Common

/// The commands of each job of `queue-drain` inside of Redis, and the writes that the jobs of a call share, sent as they
/// are: no script decides, checks or reads its arguments. Each one has a request and a reply of its own instead.
@IO
struct CommandsAlone {
  private static let batch = 50
  private static let lease = "1700000060000"

  private let lab: Lab
  private let keys = Keys(namespace: "alone")

  init(_ lab: Lab) { self.lab = lab }

  /// Processor time of Redis for each job, in microseconds.
  func measure(isOrganic: Bool) async throws -> Double {
    _ = try await lab.redis.send("FLUSHALL", "SYNC")
    let count = Int(4_000 * lab.seconds) / Self.batch * Self.batch
    let ids = (0..<count).map { isOrganic ? "o\($0)" : "s:1700000000:bench:0:\($0)" }
    try await send(ids.flatMap { prepare($0, isOrganic) })
    let usage = try Usage([lab.redisProcess?.pid ?? 0])
    for start in stride(from: 0, to: count, by: 4 * Self.batch) {
      try await send(
        stride(from: start, to: min(start + 4 * Self.batch, count), by: Self.batch).flatMap { first in
          commands(Array(ids[first..<(first + Self.batch)]), isOrganic)
        })
    }
    let cost = try usage.since().microseconds[0] / Double(count)
    _ = try await lab.redis.send("FLUSHALL", "SYNC")
    return cost
  }

  /// All commands under way at once, so that their bytes go together.
  private func send(_ commands: [[String]]) async throws {
    for start in stride(from: 0, to: commands.count, by: 5_000) {
      let sends = commands[start..<min(start + 5_000, commands.count)].map { words in
        IO.task { @IO [redis = lab.redis] in try await redis.send(RedisCommand(words: words)) }
      }
      for send in sends { _ = try await send.value }
    }
  }

  /// What stands there before the job is claimed.
  private func prepare(_ id: String, _ isOrganic: Bool) -> [[String]] {
    let lane = keys.fixed(isOrganic ? .organic : .due)
    guard isOrganic else { return [["ZADD", lane, "1", id]] }
    return [
      ["ZADD", lane, "1", id],
      ["SET", keys.payload(id), String(repeating: "x", count: 300)],
      [
        "HSET", keys.job(id), "v", "1", "kind", "organic", "state", "waiting", "task", "bench", "created",
        Self.lease, "account", "", "order", "1", "stream", "1",
      ],
    ]
  }

  private func commands(_ ids: [String], _ isOrganic: Bool) -> [[String]] {
    let lane = keys.fixed(isOrganic ? .organic : .due)
    var all = ids.flatMap { isOrganic ? claimOrganic($0) : claimPlanned($0) }
    all.append(["ZADD", keys.fixed(.lease)] + ids.flatMap { [Self.lease, $0] })
    all.append(["ZREMRANGEBYRANK", lane, "0", String(ids.count - 1)])
    all.append(["HSET", keys.worker("w"), "request", "1", "granted", ids.joined(separator: " ")])
    all += ids.flatMap { isOrganic ? settleOrganic($0) : settlePlanned($0) }
    all.append(["ZREM", keys.fixed(.lease)] + ids)
    all.append((isOrganic ? ["UNLINK"] : ["DEL"]) + ids.map { isOrganic ? keys.payload($0) : keys.job($0) })
    all.append(["HINCRBY", keys.fixed(isOrganic ? .usage : .counts), "all", String(ids.count)])
    return all
  }

  private func claimPlanned(_ id: String) -> [[String]] {
    [
      [
        "HSET", keys.job(id), "v", "1", "kind", "synthetic", "state", "running", "task", "bench", "token",
        "nonce1234567890.1", "worker", "w",
      ]
    ]
  }

  private func claimOrganic(_ id: String) -> [[String]] {
    [
      ["HMGET", keys.job(id), "state", "task", "deadline", "stream", "attempt"],
      [
        "HSET", keys.job(id), "state", "running", "token", "nonce1234567890.1", "worker", "w", "attempt", "1",
      ],
      ["GET", keys.payload(id)],
    ]
  }

  private func settlePlanned(_ id: String) -> [[String]] { [["HMGET", keys.job(id), "state", "token"]] }

  private func settleOrganic(_ id: String) -> [[String]] {
    [
      ["HMGET", keys.job(id), "state", "token", "kind", "account", "task"],
      [
        "HSET", keys.job(id), "state", "done", "finished", Self.lease, "bytes", "0", "status", "200",
        "prompt_tokens", "7", "completion_tokens", "20",
      ],
      ["EXPIRE", keys.job(id), "3600"],
      ["XADD", keys.reply(id), "*"] + BareWorker.lastEntry.flatMap { [$0.0, $0.1] },
      ["EXPIRE", keys.reply(id), "3600"],
    ]
  }
}
