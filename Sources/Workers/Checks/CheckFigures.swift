/// What a worker's check lanes did since it started: for its heartbeat's record.
struct CheckFigures: Equatable {
  /// Checks that ended with a score.
  var judged = 0
  /// Checks that the server could not judge.
  var unjudged = 0
  /// Checks that failed for good.
  var failed = 0
  /// Checks that were handed back.
  var handedBack = 0

  /// Checks with a verdict of any kind.
  var done: Int { judged + unjudged + failed }

  /// A check ended so.
  mutating func ended(_ state: CheckMachine.VerdictState) {
    switch state {
    case .judged: judged += 1
    case .unjudged: unjudged += 1
    case .failed: failed += 1
    }
  }
}
