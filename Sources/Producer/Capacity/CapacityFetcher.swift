import Common

/// Asks every miner what it can serve in the next period.
@IO
final class CapacityFetcher {
  /// Miners that are asked at a time. More than a subnet usually has: miners that keep their question open
  /// until it times out must not hold up the others.
  static let concurrencyMax = 256
  /// Longest wait for one miner.
  static let timeoutMilliseconds = 10_000
  /// No miner is asked later than this after the first one.
  static let startWindowMilliseconds = 20_000

  /// What all miners answered.
  struct Answers: Sendable, Equatable {
    /// Volume per profile period, by miner then task, not yet capped; nil without a usable answer.
    var claims: [[Double]?]
    /// Miners whose answer could be read.
    var answered: Int { claims.count { $0 != nil } }
    /// Single values that could not be used.
    var unusable = 0
  }

  private let http: HTTPClient
  private let log: Log
  private let limit: Int

  init(
    http: HTTPClient, log: Log = .shared, timeoutMilliseconds: Int = CapacityFetcher.timeoutMilliseconds
  ) {
    self.http = http
    self.log = log
    limit = timeoutMilliseconds
  }

  /// Asks all miners and waits for the last answer or its timeout: about 30 s at most. Nothing that a
  /// miner does fails the whole.
  func fetch(
    _ miners: [MinerRecord], tasks: [TaskConfig], profile: ScoringProfile
  ) async -> Answers {
    let body = CapacityQuestion.body(tasks: tasks)
    let last = Monotonic.now().advanced(milliseconds: Self.startWindowMilliseconds)
    var result = Answers(claims: Array(repeating: nil, count: miners.count))
    await withTaskGroup(of: (Int, CapacityAnswer?).self) { group in
      var running = 0
      for (index, miner) in miners.enumerated() {
        guard Monotonic.now() < last, !Task.isCancelled else { break }
        group.addTask {
          (index, await self.ask(miner, body: body, tasks: tasks, profile: profile))
        }
        running += 1
        if running >= Self.concurrencyMax, let (index, answer) = await group.next() {
          running -= 1
          result.add(answer, miner: index)
        }
      }
      for await (index, answer) in group { result.add(answer, miner: index) }
    }
    return result
  }

  private func ask(
    _ miner: MinerRecord, body: [UInt8], tasks: [TaskConfig], profile: ScoringProfile
  ) async -> CapacityAnswer? {
    let request = HTTPRequest(
      method: .post, url: miner.address + "/capacity",
      headers: [("content-type", "application/json")], body: body)
    do throws(HTTPFailure) {
      let response = try await http.fetch(
        request,
        timeouts: HTTPTimeouts(
          connectMilliseconds: limit / 2, firstContentMilliseconds: limit, stallMilliseconds: limit,
          totalMilliseconds: limit),
        limits: HTTPLimits(responseBytesMax: CapacityAnswer.bytesMax))
      guard (200..<300).contains(response.status) else {
        log.debug("no capacities from a miner", ["uid": miner.uid, "status": response.status])
        return nil
      }
      // A hostile answer may take milliseconds to read.
      let answer = await OffLoop.run {
        CapacityAnswer(parsing: response.body, tasks: tasks, profile: profile)
      }
      if answer == nil {
        log.debug("no capacities from a miner", ["uid": miner.uid, "reason": "unreadable"])
      }
      return answer
    } catch {
      log.debug("no capacities from a miner", ["uid": miner.uid, "reason": error.code.rawValue])
      return nil
    }
  }
}

extension CapacityFetcher.Answers {
  fileprivate mutating func add(_ answer: CapacityAnswer?, miner: Int) {
    guard let answer else { return }
    claims[miner] = answer.claims
    unusable += answer.unusable
  }
}
