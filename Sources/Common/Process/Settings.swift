/// The settings of a running program: every value checked, every name known.
public struct Settings: Sendable {
  /// Where a value came from, strongest last.
  public enum Origin: Sendable, Equatable {
    /// Nobody set it.
    case byDefault
    /// The settings file at this path.
    case file(String)
    /// The setting's environment variable.
    case environment
    /// A flag.
    case flag
  }

  struct Entry: Sendable {
    let setting: Setting
    let text: String
    let value: SettingValue
    let origin: Origin
  }

  /// Every setting of the table, those without a value too.
  let known: [String: Setting]
  let entries: [String: Entry]
  /// The arguments that are not flags, in the order of the table's positionals.
  public let arguments: [String]

  /// A text, word, name, path or URL. Programmer's error if the name is not in the table or has no value.
  public func string(_ name: String) -> String {
    guard case .text(let text) = value(name) else { preconditionFailure("\(name) is not a text") }
    return text
  }

  /// As ``string(_:)``; nil if the setting was left unset.
  public func stringIfSet(_ name: String) -> String? { isSet(name) ? string(name) : nil }

  /// A whole number, or a time in milliseconds.
  public func int(_ name: String) -> Int {
    guard case .integer(let number) = value(name) else {
      preconditionFailure("\(name) is not a whole number")
    }
    return number
  }

  /// As ``int(_:)``; nil if the setting was left unset.
  public func intIfSet(_ name: String) -> Int? { isSet(name) ? int(name) : nil }

  /// A policy of networks.
  public func networks(_ name: String) -> NetworkPolicy {
    guard case .text(let text) = value(name), let policy = try? NetworkPolicy(parsing: text) else {
      preconditionFailure("\(name) names no networks")
    }
    return policy
  }

  /// A number.
  public func double(_ name: String) -> Double {
    guard case .decimal(let number) = value(name) else { preconditionFailure("\(name) is not a number") }
    return number
  }

  /// A boolean.
  public func bool(_ name: String) -> Bool {
    guard case .boolean(let flag) = value(name) else { preconditionFailure("\(name) is not a boolean") }
    return flag
  }

  /// A secret, wrapped so that nothing shows it by accident; nil if it was left unset.
  public func secret(_ name: String) -> Redacted? { isSet(name) ? Redacted(string(name)) : nil }

  /// Whether the setting has a value.
  public func isSet(_ name: String) -> Bool {
    precondition(known[name] != nil, "no setting \(name)")
    return entries[name] != nil
  }

  /// Where the value came from; nil if it was left unset.
  public func origin(_ name: String) -> Origin? {
    precondition(known[name] != nil, "no setting \(name)")
    return entries[name]?.origin
  }

  /// What was set by somebody, in the order of names, as it may be shown: without secrets.
  public var shown: [(name: String, value: String)] {
    entries.values.filter { $0.origin != .byDefault }
      .map { ($0.setting.name, $0.setting.shown($0.text)) }.sorted { $0.0 < $1.0 }
  }

  private func value(_ name: String) -> SettingValue {
    precondition(known[name] != nil, "no setting \(name)")
    guard let entry = entries[name] else { preconditionFailure("\(name) is unset: ask isSet first") }
    return entry.value
  }
}
