/// How long a checking server is left alone, from how its last checks went.
///
/// A server that does not answer is asked again after 60, 120, 240 and then 300 s
/// (rayonlabs/nineteen, `validator/control_node/…/score_results.py`); the first time can be set. Checks that
/// go wrong one by one do not slow the server down, since a miner could send answers that make the checker
/// fail and so keep everyone else from being checked. Only when several miners' checks go wrong in a row is
/// it the server.
struct ServerHealth: Equatable {
  /// What the end of a check says about the server.
  enum Sign: Equatable {
    /// It works.
    case fine
    /// It works for somebody else.
    case busy
    /// It does not answer as it should.
    case failed
    /// It answers, but this check went wrong.
    case troubled
  }

  /// Miners whose checks may go wrong in a row before it is the server.
  static let troubledMax = 3
  /// The longest pause is this many times the first.
  static let backoffFactorMax = 5

  private let limits: CheckMachine.Limits
  /// Ends in a row at which it did not answer.
  private(set) var failures = 0
  /// Miners whose checks went wrong since the last good one.
  private(set) var troubled: Set<String> = []

  /// A server of which nothing is known.
  init(limits: CheckMachine.Limits) { self.limits = limits }

  /// A check ended. Returns for how long to leave the server alone, in milliseconds.
  mutating func note(_ sign: Sign, hotkey: String) -> Int {
    switch sign {
    case .fine:
      failures = 0
      troubled = []
      return 0
    case .busy:
      failures = 0
      return limits.busyMilliseconds
    case .failed:
      failures += 1
      return ServerHealth.backoff(failures, limits.backoffMilliseconds)
    case .troubled:
      failures = 0
      // More need not be told apart.
      if troubled.count < 10 { troubled.insert(hotkey) }
      guard troubled.count >= ServerHealth.troubledMax else { return 0 }
      return ServerHealth.backoff(troubled.count - ServerHealth.troubledMax + 1, limits.backoffMilliseconds)
    }
  }

  /// `first`, twice that, four times that, and then five times that; for counts from 1.
  static func backoff(_ count: Int, _ first: Int) -> Int {
    min(first << min(max(0, count - 1), 3), first * backoffFactorMax)
  }
}
