import Common
import Foundation

extension Stage {
  /// What a case expects beside what always holds.
  struct Expectations {
    /// Whether requests may be lost, such as the last writes before Redis died: the case judges which.
    var mayLose = false
    /// Ends of replies that are no fault here.
    var ends: Set<String> = ["done"]
    /// Whether planned queries must all be settled.
    var allQueries = true
    /// Whether some of the plan may not be due yet: what is left is swept after the period, not judged.
    var leavesPlan = false
    /// Whether the miners kept a journal.
    var hasJournal = true
    /// How long the queue may take to drain.
    var drainSeconds = 90
  }

  /// Ends the traffic, waits until all is done, and shows what always holds: nothing lost, nothing twice, no
  /// effect without an answer, no broken reply, and a queue that `vision fsck` finds in order.
  /// - Parameter workers: they are stopped before the queue is looked at.
  @discardableResult
  func conclude(
    stopping workers: [StageProcess], _ expected: Expectations = Expectations()
  ) async throws -> Judge {
    let drainSeconds = expected.drainSeconds
    for each in users { each.stop() }
    for each in users { await each.waitForReplies(seconds: drainSeconds) }
    var unsent: Set<String> = []
    // While a plan goes on, something always runs.
    if expected.leavesPlan {
      unsent = try await takePlanBack()
    } else {
      try await drain(seconds: drainSeconds)
    }
    try await stop(workers)
    try await readLedger("final")
    let judge = try Judge(reading: evidence.path, periodSeed: periodSeed)
    show("requests accepted", judge.requests.values.count { $0.acceptedAt != nil })
    if !judge.due.isEmpty { show("queries planned", judge.due.count) }
    show("accepted requests lost", judge.lostRequests.count, "", expected.mayLose ? .shown : .exactly(0))
    if expected.allQueries, !judge.due.isEmpty {
      let lost = Set(judge.lostQueries).subtracting(unsent)
      show("planned queries lost", lost.count, "", .exactly(0))
    }
    show("effects counted twice", judge.doubled.count, "", .exactly(0))
    if expected.hasJournal {
      show("effects without a miner's answer", judge.unearned.count, "", .exactly(0))
    }
    show("replies with a gap or a repetition", judge.broken.count, "", .exactly(0))
    let others = judge.requests.filter { $0.value.endings > 0 && !expected.ends.contains($0.value.end) }
    show("requests that ended otherwise", others.count, "", .exactly(0))
    show("findings of vision fsck", try await fsck(), "", .exactly(0))
    complain([
      ("lost", judge.lostRequests + judge.lostQueries.filter { !unsent.contains($0) }),
      ("twice", judge.doubled), ("unearned", expected.hasJournal ? judge.unearned : []),
      ("broken", judge.broken), ("ended", others.map { $0.key + " " + $0.value.end }),
    ])
    return judge
  }

  /// Lets no more planned queries start. Returns those that had not; they stay in the queue.
  private func takePlanBack() async throws -> Set<String> {
    _ = try await queue.pause("synthetic", true)
    try await drainRunning(seconds: 60)
    let ids = try await redis("ZRANGE", queue.keys.fixed(.due), "0", "-1").elements ?? []
    return Set(ids.compactMap(\.text))
  }

  /// Names of what is wrong go to stderr, so that a failure can be looked into.
  private func complain(_ lists: [(String, [String])]) {
    for (what, names) in lists where !names.isEmpty {
      Chaos.complain("\(parameters.name): \(what): \(names.prefix(8).joined(separator: " "))\n")
    }
  }

  /// What `vision fsck` finds, as its own lines; 0 when it says that all is in order.
  func fsck() async throws -> Int {
    let command = ChildCommand([
      Stage.program("vision"), "fsck", "--redis-url", redisURL, "--namespace", Stage.namespace,
    ])
    let result = try await ChildProcess.run(
      command,
      limits: ChildLimits(stdoutMaxBytes: 8 << 20, stderrMaxBytes: 1 << 16, timeoutMilliseconds: 120_000))
    if result.status.isSuccess { return 0 }
    let text = String(decoding: result.stdout + result.stderr, as: UTF8.self)
    let lines = text.split(separator: "\n")
    Chaos.complain(lines.prefix(10).map { "\(parameters.name): fsck: \($0)\n" }.joined())
    return max(1, lines.count - 1)
  }

  /// Copies the ledger's entries into the evidence, as lines of `who`, from `cursor` on. Returns the last id.
  @discardableResult
  func readLedger(_ who: String, after cursor: String = "") async throws -> String {
    var cursor = cursor
    while true {
      let records = try await queue.readLedger(after: cursor, limit: 1_000)
      guard let last = records.last else { return cursor }
      evidence.note(records.compactMap { Stage.line(who, $0) })
      cursor = last.id
    }
  }

  private nonisolated static func line(_ who: String, _ record: LedgerRecord) -> String? {
    switch record.entry {
    case .attempt(let attempt):
      "\(who) \(record.id) attempt \(attempt.job) \(attempt.outcome.rawValue) \(attempt.settles ? 1 : 0) "
        + "\(attempt.totalMilliseconds)"
    case .skipped(let skip): "\(who) \(record.id) skip \(skip.job) \(skip.reason.rawValue) 1"
    case .dead(let dead):
      "\(who) \(record.id) dead \(dead.job) \(dead.kind.rawValue) \(dead.kind == .synthetic ? 1 : 0)"
    case .opened, .closed, .verdict, nil: nil
    }
  }
}
