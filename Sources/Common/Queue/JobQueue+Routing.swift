/// What a worker tells the others of one task.
public struct RouteNotice: Sendable {
  /// The task's name.
  public var task: String
  /// What it knows of the miners, in its own encoding; nothing takes an earlier report back.
  public var report: [UInt8]
  /// Which verdicts it knows; empty for none.
  public var verdictsKnown: String

  /// A worker's report on a task.
  public init(task: String, report: [UInt8], verdictsKnown: String) {
    self.task = task
    self.report = report
    self.verdictsKnown = verdictsKnown
  }
}

/// What other workers and checking servers found out about one task's miners.
public struct RouteNews: Sendable {
  /// The running mean of one miner's verdicts.
  public struct Mean: Sendable, Equatable {
    /// Of which miner.
    public var hotkey: String
    /// From 0 to 1, of about the latest eight verdicts.
    public var mean: Double
    /// Verdicts in all.
    public var verdicts: Int
  }

  /// Which verdicts are in `means`.
  public var verdictsKnown: String
  /// All means of the task; none when nothing changed.
  public var means: [Mean]
  /// The reports of other workers, with the time since they were written, in ms.
  public var reports: [(ageMilliseconds: Int, bytes: [UInt8])]
}

extension JobQueue {
  /// Exchanges what is known of the miners of some tasks (100 at most). The results are in the tasks' order.
  /// - Parameter lifeMilliseconds: how long this worker's reports are read if it does not renew them.
  public func exchangeRoutes(
    worker: String, lifeMilliseconds: Int, _ notices: [RouteNotice]
  ) async throws(RedisError) -> [RouteNews] {
    precondition(notices.count <= 100)
    let reply = try await run(.route) { command in
      command.add(worker)
      command.add(lifeMilliseconds)
      command.add(notices.count)
      for notice in notices {
        command.add(notice.task)
        command.add(notice.report)
        command.add(notice.verdictsKnown)
      }
    }
    guard let items = reply.elements, items.count == notices.count + 1 else {
      throw unexpected(.route, reply)
    }
    return try items.dropFirst().map { item throws(RedisError) in
      guard let fields = item.elements, fields.count >= 2, fields.count % 2 == 0,
        let known = fields[0].text, let means = fields[1].elements
      else { throw unexpected(.route, reply) }
      return RouteNews(
        verdictsKnown: known, means: JobQueue.means(means),
        reports: stride(from: 2, to: fields.count, by: 2).compactMap { index in
          guard let age = fields[index].int, let bytes = fields[index + 1].data else { return nil }
          return (ageMilliseconds: max(0, age), bytes: bytes)
        })
    }
  }

  /// Pairs of hotkey and `mean count`; what cannot be read is left out.
  private static func means(_ fields: [RedisReply]) -> [RouteNews.Mean] {
    stride(from: 0, to: fields.count - 1, by: 2).compactMap { index in
      let words = fields[index + 1].text?.split(separator: " ") ?? []
      guard let hotkey = fields[index].text, words.count == 2, let mean = Double(words[0]), mean.isFinite,
        let verdicts = Int(words[1])
      else { return nil }
      return RouteNews.Mean(hotkey: hotkey, mean: mean, verdicts: verdicts)
    }
  }

  /// What of a period's volumes was used and who left: milli-units of work by task then miner index, and the
  /// indices of miners that are no longer to be asked.
  public func usedVolumes(
    _ period: PeriodID
  ) async throws(RedisError) -> (used: [String: [Int: Int]], gone: Set<Int>) {
    let fields = try await redis.send("HGETALL", keys.volume(period)).fields ?? [:]
    var used: [String: [Int: Int]] = [:]
    var gone: Set<Int> = []
    for (name, value) in fields {
      let words = name.split(separator: ":")
      if words.count == 2, words[0] == "gone", let miner = Int(words[1]) { gone.insert(miner) }
      if words.count == 3, words[0] == "used", let miner = Int(words[2]), let work = Int(value) {
        used[String(words[1]), default: [:]][miner] = work
      }
    }
    return (used, gone)
  }
}
