import Common

/// What one attempt at one miner came to.
struct AttemptResult {
  var outcome: Outcome
  /// The HTTP status; 0 when there was none.
  var status = 0
  /// Characters, steps or embeddings of the answer.
  var units = 0
  /// Stream chunks with text: the tokens, as far as a stream shows them.
  var contentChunks = 0
  /// Tokens of the prompt.
  var promptTokens = 0
  /// Whether the user saw any of it: then no other miner may answer.
  var wasShown = false
  /// Whether it ended because the user's deadline passed, which is no fault of the miner.
  var isPastDeadline = false
  /// From the start to the first valid content, in milliseconds; nil without content.
  var firstContentMilliseconds: Int?
  /// From the start to the end, in milliseconds.
  var totalMilliseconds = 0
  /// What a checking server needs to see of the answer; nil when it is not complete or too large.
  var answer: [UInt8]?
  /// A few words for the user and the log; never the miner's whole answer.
  var problem = ""
  /// How long the miner asks to be left alone, in seconds.
  var retryAfterSeconds: Int?

  /// Whether another miner may be asked: this one failed before the user saw any of its answer.
  var mayBeTriedElsewhere: Bool {
    (outcome.counter == .failure || outcome.counter == .rateLimit) && !wasShown
  }

  /// The outcome that an HTTP status means when it is not a success.
  static func outcome(status: Int) -> Outcome {
    switch status {
    case 429: return .rateLimited
    case 500...599: return .serverError
    default: return .refused
    }
  }

  /// The outcome that a failed transfer means.
  static func outcome(of failure: HTTPFailure) -> Outcome {
    switch failure.code {
    case .resolve, .connectRefused, .tls, .protocolError: return .refused
    case .connectTimeout: return .connectTimeout
    case .firstContentTimeout: return .firstContentTimeout
    case .stallTimeout: return .stallTimeout
    case .totalTimeout: return .totalTimeout
    case .tooLarge, .headerTooLarge: return .malformed
    case .truncated: return .truncated
    case .cancelled: return .cancelled
    // Our own side: no descriptors, no memory.
    case .other: return .interrupted
    }
  }
}
