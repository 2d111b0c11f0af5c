import Common

/// Redis's clock, as known from its last replies: deadlines and due times are told by it, not by this
/// machine's date.
@IO
package final class RedisClock {
  private var offsetMilliseconds: Int?

  /// A clock that Redis was not heard on yet.
  package init() {}

  /// A reply carried Redis's time.
  package func observe(nowMilliseconds: Int) {
    offsetMilliseconds = nowMilliseconds - Monotonic.now().nanoseconds / 1_000_000
  }

  /// Redis's time, Unix ms; this machine's until Redis was heard.
  package var nowMilliseconds: Int {
    guard let offsetMilliseconds else { return WallClock.nowMilliseconds() }
    return Monotonic.now().nanoseconds / 1_000_000 + offsetMilliseconds
  }
}
