import Common

/// How many additional requests may be made: a share of the requests, and a few each second, so that a
/// failing subnet is not asked many times over. (Finagle's RetryBudget: 20 % and 10 a second, kept for 10 s.)
package struct RetryBudget: Equatable, Sendable {
  private let share: Double
  private let perSecond: Double
  /// The most that is kept, as a time of `perSecond`, s.
  private static let keptSeconds = 10.0
  private var tokens: Double
  private var filledAt: Monotonic?

  package init(share: Double, perSecond: Double) {
    self.share = share
    self.perSecond = perSecond
    tokens = perSecond
  }

  private var tokensMax: Double { max(perSecond * RetryBudget.keptSeconds, share * 100) }

  /// A request was made for the first time.
  package mutating func requested() { tokens = min(tokensMax, tokens + share) }

  /// Takes leave for one additional request; false when there is none left.
  package mutating func take(at now: Monotonic) -> Bool {
    if let filledAt {
      tokens = min(tokensMax, tokens + perSecond * Double(max(0, now.milliseconds(since: filledAt))) / 1000)
    }
    filledAt = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
