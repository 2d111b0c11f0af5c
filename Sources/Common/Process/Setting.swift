/// One thing that an operator can set: as a flag, an environment variable or a key of the settings file.
public struct Setting: Sendable {
  /// What values are possible. Ranges are inclusive.
  public enum Kind: Sendable {
    /// Any text up to `maxBytes`.
    case string(maxBytes: Int)
    /// 1 to 64 of the characters a-z, 0-9, `-`, `_` and `.`: safe inside of Redis keys and file names.
    case name
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A finite number.
    case decimal(ClosedRange<Double>)
    /// `true` or `false`. The flag alone means true, `--no-…` means false.
    case boolean
    /// One of the listed words.
    case choice([String])
    /// A path of a file or folder, which need not exist yet.
    case path
    /// A URL with one of the listed schemes. A password in it is treated as a secret.
    case url(schemes: [String])
    /// A length of time in milliseconds: `1500`, `1500ms`, `90s`, `5m` or `1h`.
    case milliseconds(ClosedRange<Int>)
    /// Networks that may be reached, as ``NetworkPolicy/init(parsing:)`` reads them.
    case networks
  }

  /// In kebab case: `redis-url`. The flag is `--redis-url`.
  public let name: String
  /// What values are possible.
  public let kind: Kind
  /// The value, as text, where nobody sets one; nil leaves the setting unset.
  public let defaultText: String?
  /// Sentences for `--help`.
  public let help: String
  /// A secret is taken from the environment or a private file only, and never shown.
  public let isSecret: Bool
  /// Without a value the program does not start.
  public let isRequired: Bool

  /// Describes a setting. A default that the kind does not allow is a programmer's error.
  public init(
    _ name: String, _ kind: Kind, default defaultText: String? = nil, isSecret: Bool = false,
    isRequired: Bool = false, help: String
  ) {
    precondition(Setting.isKebabCase(name), "not in kebab case: \(name)")
    precondition(defaultText == nil || kind.value(defaultText ?? "") != nil, "\(name): a wrong default")
    precondition(!isSecret || defaultText == nil, "\(name): a secret with a default is none")
    precondition(!isRequired || defaultText == nil, "\(name): required, and has a default")
    self.name = name
    self.kind = kind
    self.defaultText = defaultText
    self.help = help
    self.isSecret = isSecret
    self.isRequired = isRequired
  }

  /// `VISION_REDIS_URL` for `redis-url`.
  public var variable: String {
    "VISION_" + name.uppercased().replacing("-", with: "_")
  }

  private static let letters = Set("abcdefghijklmnopqrstuvwxyz".utf8)
  /// What a value of ``Kind/name`` consists of.
  fileprivate static let nameBytes = letters.union("0123456789_.-".utf8)

  /// Small letters and digits in words between hyphens, a letter first. Every start of a program asks for every
  /// setting: by hand, since regular expressions took a tenth of that time.
  private static func isKebabCase(_ name: String) -> Bool {
    name.utf8.first.map(letters.contains) == true
      && name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false).allSatisfy { word in
        !word.isEmpty && word.allSatisfy { letters.contains($0) || (0x30...0x39).contains($0) }
      }
  }

  /// Whether `text`, as a value of this setting, must not be seen by other users of the machine.
  func holdsSecret(_ text: String) -> Bool {
    if case .url = kind { return isSecret || URLSecrets.hasPassword(text) }
    return isSecret
  }

  /// `text` as it may be shown: escaped, cut, and without secrets.
  func shown(_ text: String) -> String {
    if isSecret { return "<redacted>" }
    if case .url = kind { return TextEscape.shown(URLSecrets.hidden(text)) }
    return TextEscape.shown(text)
  }
}

/// A value that passed its setting's check.
enum SettingValue: Sendable, Equatable {
  case text(String)
  case integer(Int)
  case decimal(Double)
  case boolean(Bool)
}

extension Setting.Kind {
  /// Longest path or URL, in bytes.
  static let pathMaxBytes = 4096

  /// `text` as a value of this kind; nil if it is none.
  func value(_ text: String) -> SettingValue? {
    switch self {
    case .string(let maxBytes): text.utf8.count <= maxBytes ? .text(text) : nil
    case .name:
      (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(Setting.nameBytes.contains)
        ? .text(text) : nil
    case .integer(let range): Int(text).flatMap { range.contains($0) ? .integer($0) : nil }
    case .decimal(let range): Double(text).flatMap { range.contains($0) ? .decimal($0) : nil }
    case .boolean: ["true": .boolean(true), "false": .boolean(false)][text]
    case .choice(let words): words.contains(text) ? .text(text) : nil
    case .path: text.isEmpty || text.utf8.count > Self.pathMaxBytes ? nil : .text(text)
    case .url(let schemes): Self.isURL(text, schemes: schemes) ? .text(text) : nil
    case .milliseconds(let range):
      Self.milliseconds(text).flatMap { range.contains($0) ? .integer($0) : nil }
    case .networks: (try? NetworkPolicy(parsing: text)).map { _ in .text(text) }
    }
  }

  /// What is allowed, for error messages and `--help`.
  var allowed: String {
    switch self {
    case .string(let maxBytes): "text of at most \(maxBytes) bytes"
    case .name: "1 to 64 of the characters a-z, 0-9, '-', '_' and '.'"
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .decimal(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .boolean: "true or false"
    case .choice(let words): "one of " + words.joined(separator: ", ")
    case .path: "a path"
    case .url(let schemes): "a URL that starts with " + schemes.map { $0 + "://" }.joined(separator: " or ")
    case .milliseconds(let range):
      "a time from \(range.lowerBound)ms to \(range.upperBound)ms, such as 1500ms, 90s, 5m or 1h"
    case .networks: "public, any, or networks such as 10.0.0.0/8 or !10.0.0.0/8, with commas between"
    }
  }

  /// What stands for the value in `--help`.
  var placeholder: String {
    switch self {
    case .string: "TEXT"
    case .name: "NAME"
    case .integer, .decimal: "NUMBER"
    case .boolean: ""
    case .choice: "WORD"
    case .path: "PATH"
    case .url: "URL"
    case .milliseconds: "TIME"
    case .networks: "NETWORKS"
    }
  }

  private static func isURL(_ text: String, schemes: [String]) -> Bool {
    guard text.utf8.count <= pathMaxBytes, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return false
    }
    return schemes.contains { text.hasPrefix($0 + "://") && text.utf8.count > $0.utf8.count + 3 }
  }

  private static func milliseconds(_ text: String) -> Int? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    let factors: [Substring: Int] = ["": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]
    guard digits.utf8.count <= 15, let count = Int(digits), let factor = factors[text[digits.endIndex...]]
    else {
      return nil
    }
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }
}
