/// Why settings are refused. The description names the setting, the value (unless it is a secret) and
/// what is allowed, on one line.
public struct SettingsError: ExitCodeProviding, Equatable, CustomStringConvertible {
  /// The kinds of refusal.
  public enum Code: Sendable {
    /// No setting has the name of this flag, environment variable or key of the file.
    case unknownName
    /// A flag lacks its value.
    case missingValue
    /// The value is not one that the setting allows.
    case invalidValue
    /// A flag or a key of the file stands there twice.
    case givenTwice
    /// A secret was passed where every user of the machine can see it.
    case exposedSecret
    /// The settings file cannot be read.
    case unreadableFile
    /// The settings file is not a JSON object of texts, numbers and booleans.
    case malformedFile
    /// A setting without a default was not set, or a positional argument is missing.
    case missing
    /// A positional argument too many.
    case unexpectedArgument
  }

  /// The kind of refusal.
  public let code: Code
  /// The name of the setting that it is about, if it is about one.
  public let setting: String?
  /// One line for people.
  public let description: String

  init(_ code: Code, setting: String? = nil, _ description: String) {
    self.code = code
    self.setting = setting
    self.description = description
  }

  /// Settings are what the caller asks for.
  public var exitCode: ExitCode { .usage }
}

/// Finds what somebody may have meant.
public enum NearMiss {
  /// `; did you mean X?` for the candidate closest to `word`, or nothing if none is close.
  public static func hint(_ word: String, among candidates: some Sequence<String>) -> String {
    let limit = max(1, word.count / 3)
    let near = candidates.map { ($0, distance(word, $0)) }.filter { $0.1 <= limit }
    guard let best = near.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }) else { return "" }
    return "; did you mean \(best.0)?"
  }

  /// How many letters must be inserted, removed, replaced or swapped with their neighbour.
  static func distance(_ left: String, _ right: String) -> Int {
    // Longer words are not names of ours; the bound keeps the table small.
    let a = Array(left.utf8.prefix(64))
    let b = Array(right.utf8.prefix(64))
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
