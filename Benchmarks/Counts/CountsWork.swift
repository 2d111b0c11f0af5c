import Common

/// The hot paths whose instructions are counted. Each is driven in lock-step: the next item comes when the
/// last one is through, so that no batch depends on the machine's speed.
enum CountsWork: String, CaseIterable {
  /// A marker arrives, and a claim finds nothing.
  case claim
  /// A planned query: claimed, built, sent, its answer read, settled with its ledger entry.
  case query
  /// A user's request, answered by one token: claimed, routed, sent, relayed, settled.
  case request
  /// A token that comes alone: from the miner's socket into the reply.
  case token
  /// A token of fifty that come in one read.
  case burstToken = "burst_token"

  /// Tokens of one read of ``burstToken``.
  private static let burst = 50

  /// Items of the shorter of the two runs, and what the longer one has more of them.
  var items: (few: Int, more: Int) {
    switch self {
    case .claim, .request: (20, 300)
    case .query: (20, 800)
    case .token: (20, 600)
    case .burstToken: (20 * CountsWork.burst, 200 * CountsWork.burst)
    }
  }

  /// A worker's whole life.
  struct Life {
    var instructions = 0.0
    /// From its first record to the end of the work.
    var milliseconds = 0
  }

  /// What a worker's life takes with this many items, and no shorter than a time: heartbeats and exchanges go by
  /// the clock.
  @IO func life(_ lab: Lab, items: Int, atLeastMilliseconds: Int) async throws -> Life {
    let probe = try ProbeServer()
    defer { probe.stop() }
    switch self {
    case .claim: return try await claims(lab, probe, items, atLeastMilliseconds)
    case .query: return try await queries(lab, items, atLeastMilliseconds)
    case .request: return try await requests(lab, probe, items, atLeastMilliseconds)
    case .token: return try await tokens(lab, probe, items, burst: 1, atLeastMilliseconds)
    case .burstToken:
      return try await tokens(lab, probe, items, burst: CountsWork.burst, atLeastMilliseconds)
    }
  }

  @IO private func claims(_ lab: Lab, _ probe: ProbeServer, _ items: Int, _ least: Int) async throws -> Life {
    let scene = try await Scene(lab, .chat, url: probe.url)
    let worker = try await CountedWorker(lab, scene, slots: 10)
    let record = try await scene.workerRecord()
    for _ in 0..<items {
      let last = try await lab.redis.send("HGET", record, "requestorganics").text
      _ = try await lab.redis.send("ZADD", scene.queue.keys.fixed(.wakeOrganic), "0", "organic")
      try await scene.wait(seconds: 10, for: "a claim", pauseMilliseconds: 1) {
        try await lab.redis.send("HGET", record, "requestorganics").text != last
      }
    }
    return try await worker.end(atLeastMilliseconds: least)
  }

  /// With two slots, one of them for users, there is one query at a time.
  @IO private func queries(_ lab: Lab, _ items: Int, _ least: Int) async throws -> Life {
    let server = try await lab.flood("--plain")
    let scene = try await Scene(lab, .image, url: server.url, planned: items)
    let worker = try await CountedWorker(lab, scene, slots: 2)
    try await scene.wait(seconds: 120, for: "all queries", pauseMilliseconds: 5) {
      try await scene.queue.redis.send("XLEN", scene.queue.keys.fixed(.ledger)).int ?? 0 >= items
    }
    let life = try await worker.end(atLeastMilliseconds: least)
    await lab.end(server.process)
    return life
  }

  @IO private func requests(_ lab: Lab, _ probe: ProbeServer, _ items: Int, _ least: Int) async throws -> Life
  {
    let scene = try await Scene(lab, .chat, url: probe.url, probe: probe.url)
    let worker = try await CountedWorker(lab, scene, slots: 10)
    for number in 0..<items {
      try await OrganicsBench.push(scene, seed: number, tokens: 1)
      let key = scene.queue.keys.job("o\(number)")
      try await scene.wait(seconds: 10, for: "the end of a request", pauseMilliseconds: 1) {
        try await lab.redis.send("HGET", key, "state").text == "done"
      }
    }
    return try await worker.end(atLeastMilliseconds: least)
  }

  /// One stream: the miner writes on when the reply has all that it wrote.
  @IO private func tokens(
    _ lab: Lab, _ probe: ProbeServer, _ items: Int, burst: Int, _ least: Int
  ) async throws -> Life {
    let scene = try await Scene(lab, .chat, url: probe.url, probe: probe.url)
    let worker = try await CountedWorker(lab, scene, slots: 10)
    probe.isStepped = true
    try await OrganicsBench.push(scene, seed: 1, tokens: items)
    let (job, reply) = (scene.queue.keys.job("o1"), scene.queue.keys.reply("o1"))
    var written = 0
    while written < items {
      try await scene.wait(seconds: 20, for: "a token", pauseMilliseconds: 1) {
        if written == 0 { return probe.isWaiting }
        let last = try await lab.redis.send("XREVRANGE", reply, "+", "-", "COUNT", "1")
        return last[0]?[1]?.fields?["tokens"].flatMap { Int($0) } ?? 0 >= written
      }
      // The stream is open while time is filled.
      if written + burst >= items { await worker.fill(milliseconds: least) }
      written += probe.step(min(burst, items - written))
    }
    try await scene.wait(seconds: 10, for: "the end of the stream", pauseMilliseconds: 1) {
      try await lab.redis.send("HGET", job, "state").text == "done"
    }
    return try await worker.end(atLeastMilliseconds: least)
  }
}
