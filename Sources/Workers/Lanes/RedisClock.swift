import Common

/// Redis's clock, as known from its last replies: deadlines and due times are told by it, not by this
/// machine's date.
@IO
final class RedisClock {
  private var offsetMilliseconds: Int?

  /// A reply carried Redis's time.
  func observe(nowMilliseconds: Int) {
    offsetMilliseconds = nowMilliseconds - Monotonic.now().nanoseconds / 1_000_000
  }

  /// Redis's time, Unix ms; this machine's until Redis was heard.
  var nowMilliseconds: Int {
    guard let offsetMilliseconds else { return WallClock.nowMilliseconds() }
    return Monotonic.now().nanoseconds / 1_000_000 + offsetMilliseconds
  }
}
