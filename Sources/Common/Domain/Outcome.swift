/// How one attempt at one miner ended. The raw values stand in the ledger.
///
/// | outcome | what happened | counts as |
/// |---|---|---|
/// | ok | a complete, valid answer | good |
/// | rateLimited | HTTP 429, or an in-band error that says so by its code | 429 |
/// | serverError | HTTP 5xx, or an in-band error | 500 |
/// | connectTimeout, firstContentTimeout, stallTimeout, totalTimeout | the miner was too slow | 500 |
/// | refused | no connection, or HTTP 4xx other than 429, or a redirect | 500 |
/// | truncated | the connection ended before the answer did | 500 |
/// | malformed | bytes that are no valid answer, or one above the size cap | 500 |
/// | cancelled | the user left, or another miner that was asked beside it answered first | nothing |
/// | interrupted | our worker or Redis failed in mid-answer | nothing |
public enum Outcome: String, Sendable, Codable, CaseIterable {
  /// A complete, valid answer.
  case ok
  /// The miner said that it has no room.
  case rateLimited = "rate_limited"
  /// The miner failed.
  case serverError = "server_error"
  /// No connection within the task's connect timeout.
  case connectTimeout = "connect_timeout"
  /// No valid content within the task's first content timeout.
  case firstContentTimeout = "first_content_timeout"
  /// The stream paused for longer than the task's stall timeout.
  case stallTimeout = "stall_timeout"
  /// No complete answer within the task's total timeout.
  case totalTimeout = "total_timeout"
  /// The miner took no connection, or refused the request.
  case refused
  /// The answer ended too early.
  case truncated
  /// The answer is not valid, or too large.
  case malformed
  /// The user no longer wanted the answer, or had another one.
  case cancelled
  /// The validator's own side failed in mid-answer.
  case interrupted

  /// Which of a period's counters an attempt moves beside the total.
  public enum Counter: Sendable, Equatable {
    /// The total only: a good answer.
    case good
    /// The total and the rate limits.
    case rateLimit
    /// The total and the failures.
    case failure
    /// No counter at all: the miner is not to blame.
    case none
  }

  /// The counter that this outcome moves.
  public var counter: Counter {
    switch self {
    case .ok: return .good
    case .rateLimited: return .rateLimit
    case .serverError, .connectTimeout, .firstContentTimeout, .stallTimeout, .totalTimeout, .refused,
      .truncated, .malformed:
      return .failure
    case .cancelled, .interrupted: return .none
    }
  }
}
