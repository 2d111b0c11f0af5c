import Foundation
import Glibc

/// How important a line of the log is, least first.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
  /// For whoever looks for a fault in the program.
  case debug
  /// What an operator may want to know.
  case info
  /// What an operator should look at, by and by; the program copes.
  case warning
  /// What did not work.
  case error

  /// Less important is less.
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }

  private var rank: Int { LogLevel.allCases.firstIndex(of: self) ?? 0 }
}

/// How a line of the log is written.
public enum LogFormat: String, Sendable, CaseIterable {
  /// `time=… level=info msg="worker started" slots=8`
  case logfmt
  /// `{"time":"…","level":"info","msg":"worker started","slots":8}`
  case json
}

/// The log: one line for each event, a constant message with fields.
///
/// ```swift
/// log.info("worker started", ["worker": id, "slots": 8])
/// ```
/// Messages and field names are constants, so that lines can be counted and searched; what varies goes
/// into fields. A message that repeats more than ``repeatsMax`` times within a second is counted instead,
/// and the next second says `suppressed=…`. Any thread may log; a line is written by one call.
///
/// `@unchecked Sendable`: `state` is touched under `lock` only. The lock is a pthread one, since the thread
/// sanitizer cannot follow `Mutex`, which hands a contended lock over inside the kernel.
public final class Log: @unchecked Sendable {
  /// The log of this process: everything to stderr as logfmt until ``configure(level:format:)``.
  public static let shared = Log(now: WallClock.nowMilliseconds) { line in
    // Nobody is left to tell when stderr fails.
    _ = line.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
  }

  /// Lines of one message within one second.
  public static let repeatsMax = 20

  private struct Count {
    var level: LogLevel
    var lines = 0
    var suppressed = 0
  }

  private struct State {
    var level = LogLevel.info
    var format = LogFormat.logfmt
    var second = 0
    var counts: [String: Count] = [:]
  }

  private let lock = NSLock()
  private var state = State()
  private let now: @Sendable () -> Int
  private let write: @Sendable ([UInt8]) -> Void

  /// A log with its own clock (milliseconds since 1970) and its own destination, which gets whole lines.
  public init(now: @escaping @Sendable () -> Int, write: @escaping @Sendable ([UInt8]) -> Void) {
    self.now = now
    self.write = write
  }

  /// Sets what is logged from now on, and how.
  public func configure(level: LogLevel, format: LogFormat) {
    lock.withLock {
      state.level = level
      state.format = format
    }
  }

  /// Logs for whoever looks for a fault in the program.
  public func debug(_ message: StaticString, _ fields: KeyValuePairs<StaticString, any LogValue> = [:]) {
    log(.debug, message, fields)
  }

  /// Logs what an operator may want to know.
  public func info(_ message: StaticString, _ fields: KeyValuePairs<StaticString, any LogValue> = [:]) {
    log(.info, message, fields)
  }

  /// Logs what an operator should look at.
  public func warning(_ message: StaticString, _ fields: KeyValuePairs<StaticString, any LogValue> = [:]) {
    log(.warning, message, fields)
  }

  /// Logs what did not work.
  public func error(_ message: StaticString, _ fields: KeyValuePairs<StaticString, any LogValue> = [:]) {
    log(.error, message, fields)
  }

  /// Logs an event.
  public func log(
    _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, any LogValue>
  ) {
    let now = now()
    lock.withLock {
      guard level >= state.level else { return }
      if now / 1000 != state.second { startSecond(&state, now: now) }
      let text = message.description
      state.counts[text, default: Count(level: level)].lines += 1
      guard state.counts[text, default: Count(level: level)].lines <= Self.repeatsMax else {
        state.counts[text]?.suppressed += 1
        return
      }
      var line = LogLine(state.format, time: now, level: level, message: text)
      for (name, value) in fields { line.add(name.description, value) }
      write(line.finished())
    }
  }

  /// Writes what is still only counted. For the end of a program.
  public func flush() {
    let now = now()
    lock.withLock { startSecond(&state, now: now) }
  }

  /// Tells how often each message was suppressed, and forgets.
  private func startSecond(_ state: inout State, now: Int) {
    for (message, count) in state.counts.sorted(by: { $0.key < $1.key }) where count.suppressed > 0 {
      var line = LogLine(state.format, time: now, level: count.level, message: message)
      line.add("suppressed", count.suppressed)
      write(line.finished())
    }
    state.counts.removeAll(keepingCapacity: true)
    state.second = now / 1000
  }
}
