/// When the tokens of one stream are due, in milliseconds from its start.
struct TokenSchedule: Equatable {
  var firstMilliseconds: Int
  /// Zero: all tokens come with the first.
  var tokensPerSecond: Double
  var count: Int

  /// How many tokens are due `elapsed` milliseconds after the start.
  func due(after elapsed: Int) -> Int {
    guard elapsed >= firstMilliseconds else { return 0 }
    guard tokensPerSecond > 0 else { return count }
    let later = Double(elapsed - firstMilliseconds) * tokensPerSecond / 1000
    return min(count, later >= Double(count) ? count : 1 + Int(later))
  }

  /// The millisecond at which token `index` (from 0) is due.
  func milliseconds(ofToken index: Int) -> Int {
    guard tokensPerSecond > 0 else { return firstMilliseconds }
    return firstMilliseconds + Int((Double(index) * 1000 / tokensPerSecond).rounded(.up))
  }
}
