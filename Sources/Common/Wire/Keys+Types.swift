extension Keys.Fixed {
  /// The Redis type of the key, as `TYPE` names it.
  var type: String {
    switch self {
    case .organic, .organicDeadline, .due, .lease, .dead, .periods, .wakeOrganic, .wakeDue, .wakeCheck: "zset"
    case .ledger: "stream"
    case .paused: "set"
    case .weightsHistory: "list"
    case .deadBytes, .admission, .born, .recovering, .proven, .testClock, .testMemory: "string"
    case .pace, .counts, .checks, .checksBegun, .verdicts, .usage, .tasks, .limits, .fold, .weights,
      .weightsMeta:
      "hash"
    }
  }
}
