/// A secret that no description, log line or dump shows by accident.
public struct Redacted: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  private let secret: String

  /// Wraps a secret.
  public init(_ secret: String) { self.secret = secret }

  /// The secret itself, for the one place that needs it.
  public func reveal() -> String { secret }

  /// Never the secret.
  public var description: String { "<redacted>" }
  /// Never the secret.
  public var debugDescription: String { description }
  /// Without children, so that `dump` shows nothing either.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// User names and passwords inside of URLs (`scheme://user:password@host`).
public enum URLSecrets {
  /// Whether `url` carries a password.
  public static func hasPassword(_ url: String) -> Bool { passwordRange(url) != nil }

  /// `url` with its password, if it has one, replaced by `***`.
  public static func hidden(_ url: String) -> String {
    guard let range = passwordRange(url) else { return url }
    return url.replacingCharacters(in: range, with: "***")
  }

  /// The password stands between the first colon and the last @ of the part that names the host.
  private static func passwordRange(_ url: String) -> Range<String.Index>? {
    guard let scheme = url.firstRange(of: "://") else { return nil }
    let rest = url[scheme.upperBound...]
    // A password may hold a slash that somebody forgot to encode: the last @ of all decides.
    guard let at = rest.lastIndex(of: "@"), let colon = rest[..<at].firstIndex(of: ":") else { return nil }
    let password = url.index(after: colon)..<at
    return password.isEmpty ? nil : password
  }
}
