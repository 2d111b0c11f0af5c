/// A value that a field of the log can have.
public protocol LogValue: Sendable {
  /// How it is written.
  var logText: LogText { get }
}

/// The two shapes of a field's value.
public enum LogText: Sendable {
  /// Text, which is escaped and cut.
  case text(String)
  /// A number or a boolean, which is written as it is.
  case literal(String)
}

extension String: LogValue {
  /// Itself.
  public var logText: LogText { .text(self) }
}

extension Substring: LogValue {
  /// Itself.
  public var logText: LogText { .text(String(self)) }
}

extension Int: LogValue {
  /// In decimal.
  public var logText: LogText { .literal(String(self)) }
}

extension Double: LogValue {
  /// In decimal; text if it is not finite, which JSON cannot write.
  public var logText: LogText { isFinite ? .literal(String(self)) : .text(String(self)) }
}

extension Bool: LogValue {
  /// `true` or `false`.
  public var logText: LogText { .literal(self ? "true" : "false") }
}

extension Redacted: LogValue {
  /// Never the secret.
  public var logText: LogText { .text(description) }
}

/// An error as a field's value: `["error": LoggedError(error)]`.
public struct LoggedError: LogValue {
  /// The error's description.
  public let logText: LogText

  /// Takes the description of `error`.
  public init(_ error: any Error) { logText = .text(String(describing: error)) }
}

/// One line of the log while it is written.
struct LogLine {
  /// Bytes of one value.
  static let valueMaxBytes = 1024
  /// Bytes of a line; fields that do not fit are left out and counted.
  static let lineMaxBytes = 8192

  private let format: LogFormat
  private var text = ""
  private var leftOut = 0

  init(_ format: LogFormat, time: Int, level: LogLevel, message: String) {
    self.format = format
    text.reserveCapacity(256)
    append("time", .text(Timestamp.utc(milliseconds: time)))
    append("level", .text(level.rawValue))
    append("msg", .text(message))
  }

  mutating func add(_ name: String, _ value: any LogValue) {
    let before = text.utf8.count
    append(name, value.logText)
    // Room for the count of what was left out, and for the end.
    guard text.utf8.count > Self.lineMaxBytes - 32 else { return }
    text.removeSubrange(text.utf8.index(text.startIndex, offsetBy: before)...)
    leftOut += 1
  }

  mutating func finished() -> [UInt8] {
    if leftOut > 0 { append("left_out", .literal(String(leftOut))) }
    text += format == .json ? "}\n" : "\n"
    return Array(text.utf8)
  }

  private mutating func append(_ name: String, _ value: LogText) {
    switch format {
    case .json:
      text += text.isEmpty ? "{\"" : ",\""
      text += name
      text += "\":"
    case .logfmt:
      if !text.isEmpty { text += " " }
      text += name
      text += "="
    }
    switch value {
    case .literal(let literal): text += literal
    case .text(let value):
      if format == .logfmt, Self.isBare(value) {
        text += value
      } else {
        text += "\""
        TextEscape.append(value, to: &text, maxBytes: Self.valueMaxBytes)
        text += "\""
      }
    }
  }

  /// Whether logfmt needs no quotes around it.
  private static func isBare(_ value: String) -> Bool {
    !value.isEmpty && value.utf8.count <= valueMaxBytes
      && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x3d && $0 != 0x5c }
  }
}

/// Dates for people and machines.
enum Timestamp {
  /// `2026-01-31T23:59:59.999Z` for a time in milliseconds since 1970.
  ///
  /// Days to a date by Howard Hinnant's `civil_from_days`
  /// (https://howardhinnant.github.io/date_algorithms.html): years start in March, so that the leap day
  /// is the last one.
  static func utc(milliseconds: Int) -> String {
    let clamped = max(0, min(milliseconds, 253_402_300_799_999))
    let (days, inDay) = clamped.quotientAndRemainder(dividingBy: 86_400_000)
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let seconds = inDay / 1000
    return digits(year, 4) + "-" + digits(month, 2) + "-" + digits(day, 2) + "T" + digits(seconds / 3600, 2)
      + ":" + digits(seconds / 60 % 60, 2) + ":" + digits(seconds % 60, 2) + "." + digits(inDay % 1000, 3)
      + "Z"
  }

  private static func digits(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}
