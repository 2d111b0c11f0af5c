import Glibc

/// A moment on the machine's monotonic clock: for deadlines and durations, never for dates.
public struct Monotonic: Comparable, Hashable, Sendable {
  /// Nanoseconds since an unspecified start.
  public var nanoseconds: Int

  /// A moment at the given reading of the clock.
  public init(nanoseconds: Int) { self.nanoseconds = nanoseconds }

  /// The current moment.
  public static func now() -> Monotonic {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Monotonic(nanoseconds: time.tv_sec * 1_000_000_000 + time.tv_nsec)
  }

  /// The moment `milliseconds` later.
  public func advanced(milliseconds: Int) -> Monotonic {
    Monotonic(nanoseconds: nanoseconds + milliseconds * 1_000_000)
  }

  /// Whole milliseconds from `earlier` to this moment, rounded down.
  public func milliseconds(since earlier: Monotonic) -> Int {
    (nanoseconds - earlier.nanoseconds) / 1_000_000
  }

  /// Whether `left` comes first.
  public static func < (left: Monotonic, right: Monotonic) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}

/// Dates, as Unix time.
public enum WallClock {
  /// Milliseconds since 1970. Decisions about jobs use Redis's clock instead.
  public static func nowMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
