import Common

/// What a worker did since it started: for its heartbeat's record.
struct WorkerFigures: Equatable {
  /// Attempts by outcome.
  private(set) var outcomes: [Outcome: Int] = [:]
  /// Characters, steps and embeddings of good answers.
  private(set) var units = 0
  /// Stream chunks with text.
  private(set) var tokens = 0

  /// An attempt ended.
  mutating func ended(_ result: AttemptResult) {
    outcomes[result.outcome, default: 0] += 1
    tokens += result.contentChunks
    if result.outcome == .ok { units += result.units }
  }

  /// Attempts in all.
  var attempts: Int { outcomes.values.reduce(0, +) }
}
