import Common

/// A job that this worker handles: what was granted, its lease, and the attempts that were begun for it.
@IO
final class QueryJob: Placed {
  private(set) var grant: Grant
  var place = 0
  private var lease: HeldLease?
  private var runs: [AttemptRun] = []

  init(_ grant: Grant) { self.grant = grant }

  /// Keeps the lease from here on. Its end ends the attempts.
  func hold(in keeper: LeaseKeeper, leaseMilliseconds: Int) {
    lease = keeper.hold(id: grant.id, token: grant.token, leaseMilliseconds: leaseMilliseconds) {
      self.lost($0)
    }
  }

  /// The user's request as it was pushed, which is read once: it may be long, and thousands of answers are open.
  func takePayload() -> [UInt8] {
    defer { grant.payload = [] }
    return grant.payload
  }

  /// Whether the job is still ours.
  var isOurs: Bool { lease?.stands ?? false }

  /// The job is no longer ours, by the user's doing or somebody else's.
  func lost(_ result: LeaseResult) { stop(as: result == .cancelled ? .cancelled : .interrupted) }

  /// Ends all attempts.
  func stop(as outcome: Outcome) {
    for run in runs { run.cancel(as: outcome) }
  }

  /// An attempt begins.
  func add(_ run: AttemptRun) { runs.append(run) }

  /// The job ended. Attempts and lease know the job: what it knows of them is forgotten.
  func end(in keeper: LeaseKeeper) {
    if let lease { keeper.drop(lease) }
    lease = nil
    runs = []
  }
}
