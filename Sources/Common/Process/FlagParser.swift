/// Takes arguments apart: `--name value`, `--name=value`, `--name` and `--no-name` for booleans; after
/// `--` everything is positional.
struct FlagParser {
  let program: String
  let known: [String: Setting]
  private(set) var settingsPath: String?
  private(set) var entries: [String: Settings.Entry] = [:]
  private(set) var positionals: [String] = []

  init(program: String, known: [String: Setting]) {
    self.program = program
    self.known = known
  }

  mutating func parse(_ arguments: [String]) throws(SettingsError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        positionals += rest
        return
      }
      // A single dash alone means standard input by custom.
      guard argument.hasPrefix("-"), argument != "-" else {
        positionals.append(argument)
        continue
      }
      try take(argument, rest: &rest)
    }
  }

  private mutating func take(_ argument: String, rest: inout ArraySlice<String>) throws(SettingsError) {
    let (name, attached) = split(argument)
    if name == "settings" {
      guard settingsPath == nil else { throw twice(name) }
      settingsPath = try value(name, attached, rest: &rest)
      return
    }
    if let setting = known[name] {
      guard entries[name] == nil else { throw twice(name) }
      if case .boolean = setting.kind {
        try store(setting, attached ?? "true")
      } else if setting.isSecret {
        throw exposed(setting)
      } else {
        try store(setting, try value(name, attached, rest: &rest))
      }
      return
    }
    if name.hasPrefix("no-"), attached == nil, let setting = known[String(name.dropFirst(3))],
      case .boolean = setting.kind
    {
      guard entries[setting.name] == nil else { throw twice(setting.name) }
      try store(setting, "false")
      return
    }
    let flags =
      known.values.filter { !$0.isSecret }.map { "--" + $0.name } + ["--settings", "--help", "--version"]
    let shown = argument.split(separator: "=", maxSplits: 1).first.map(String.init) ?? argument
    throw SettingsError(
      .unknownName, setting: name,
      "unknown flag \(TextEscape.shown(shown))" + NearMiss.hint(shown, among: flags)
        + " (\(program) --help lists all)")
  }

  /// `--name=value` into its two parts; the name is empty where the dashes are not two.
  private func split(_ argument: String) -> (name: String, attached: String?) {
    guard argument.hasPrefix("--") else { return ("", nil) }
    let body = argument.dropFirst(2)
    guard let equals = body.firstIndex(of: "=") else { return (String(body), nil) }
    return (String(body[..<equals]), String(body[body.index(after: equals)...]))
  }

  private func value(
    _ name: String, _ attached: String?, rest: inout ArraySlice<String>
  ) throws(SettingsError) -> String {
    if let attached { return attached }
    // What looks like a flag is one: a value that starts with two dashes is written --name=--value.
    guard let next = rest.first, !next.hasPrefix("--") else {
      let allowed = known[name].map { ": must be \($0.kind.allowed)" } ?? ""
      throw SettingsError(.missingValue, setting: name, "--\(name) lacks its value\(allowed)")
    }
    rest.removeFirst()
    return next
  }

  private mutating func store(_ setting: Setting, _ text: String) throws(SettingsError) {
    guard !setting.holdsSecret(text) else { throw exposed(setting) }
    guard let value = setting.kind.value(text) else {
      throw SettingsError(
        .invalidValue, setting: setting.name,
        "--\(setting.name) \(setting.shown(text)): must be \(setting.kind.allowed)")
    }
    entries[setting.name] = .init(setting: setting, text: text, value: value, origin: .flag)
  }

  private func twice(_ name: String) -> SettingsError {
    SettingsError(.givenTwice, setting: name, "--\(name) stands there twice")
  }

  private func exposed(_ setting: Setting) -> SettingsError {
    let what = setting.isSecret ? "--\(setting.name)" : "a password in --\(setting.name)"
    return SettingsError(
      .exposedSecret, setting: setting.name,
      "\(what) is refused, since every user of the machine can read the arguments of its programs:"
        + " set \(setting.variable) or use the settings file")
  }
}
