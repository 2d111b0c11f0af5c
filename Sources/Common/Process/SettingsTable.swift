/// Everything that a program can be told, and the one source of its `--help`.
///
/// A flag wins over the environment variable of the same setting, that over the settings file (named by
/// `--settings` or `VISION_SETTINGS`), that over the default. Every value is checked, also one that a
/// stronger source overrides.
public struct SettingsTable: Sendable {
  /// An argument that is not a flag.
  public struct Positional: Sendable {
    /// As in `--help`: `job-id`.
    public let name: String
    /// Sentences for `--help`.
    public let help: String
    /// Whether it may be left out; only the last ones may.
    public let isOptional: Bool
    /// Whether it may stand there several times; only the last one may.
    public let isRepeated: Bool

    /// Describes an argument.
    public init(_ name: String, help: String, isOptional: Bool = false, isRepeated: Bool = false) {
      self.name = name
      self.help = help
      self.isOptional = isOptional
      self.isRepeated = isRepeated
    }
  }

  /// What the arguments ask for.
  public enum Request: Sendable {
    /// To run with these settings.
    case run(Settings)
    /// To print this text and leave.
    case show(String)
  }

  /// As typed: `vision-workers`, or `vision demo`.
  public let program: String
  /// One sentence for `--help`.
  public let about: String
  /// Every setting but `settings`, `help` and `version`, which each program has.
  public let settings: [Setting]
  /// The arguments that are not flags.
  public let positionals: [Positional]
  /// Names of settings of other programs, which may stand in the environment and the file that the
  /// programs share, and mean nothing here: ``KnownSettings``.
  public let elsewhere: Set<String>

  /// Describes a program. Names that stand there twice are a programmer's error.
  public init(
    program: String, about: String, settings: [Setting], positionals: [Positional] = [],
    elsewhere: Set<String> = []
  ) {
    let names = settings.map(\.name)
    precondition(Set(names).count == names.count, "\(program): a setting stands there twice")
    precondition(SettingsTable.reserved.isDisjoint(with: names), "\(program): a reserved name")
    precondition(positionals.dropLast().allSatisfy { !$0.isRepeated }, "\(program): only the last repeats")
    self.program = program
    self.about = about
    self.settings = settings
    self.positionals = positionals
    self.elsewhere = elsewhere.subtracting(names)
  }

  private static let reserved: Set<String> = ["settings", "help", "version"]
  static let fileVariable = "VISION_SETTINGS"
  /// Beginnings of environment variables that belong to tests and benchmarks.
  static let foreignPrefixes = ["VISION_TEST_", "VISION_BENCH_"]

  /// Reads the arguments (without the program's name), the environment, and the settings file through
  /// `readFile`. Decides only: what it reads is what it is given.
  /// - Throws: the first problem found, in the order flags, file, environment, missing ones.
  public func parse(
    arguments: [String], environment: [String: String],
    readFile: (String) throws(SettingsError) -> SettingsFile
  ) throws(SettingsError) -> Request {
    let beforeEnd = arguments.prefix { $0 != "--" }
    if beforeEnd.contains("--help") || beforeEnd.contains("-h") { return .show(helpText) }
    if beforeEnd.contains("--version") { return .show("\(program) \(Version.current)\n") }

    let known = Dictionary(uniqueKeysWithValues: settings.map { ($0.name, $0) })
    var flags = FlagParser(program: program, known: known)
    try flags.parse(arguments)
    var entries: [String: Settings.Entry] = [:]
    for setting in settings {
      guard let text = setting.defaultText, let value = setting.kind.value(text) else { continue }
      entries[setting.name] = .init(setting: setting, text: text, value: value, origin: .byDefault)
    }
    let path = flags.settingsPath ?? environment[Self.fileVariable].flatMap { $0.isEmpty ? nil : $0 }
    if let path { try merge(readFile(path), known: known, into: &entries) }
    try merge(environment, known: known, into: &entries)
    for (name, entry) in flags.entries { entries[name] = entry }
    for setting in settings where setting.isRequired && entries[setting.name] == nil {
      let flag = setting.isSecret ? "" : "--\(setting.name) or "
      throw SettingsError(
        .missing, setting: setting.name, "\(setting.name) is not set: use \(flag)\(setting.variable)")
    }
    try check(flags.positionals)
    return .run(Settings(known: known, entries: entries, arguments: flags.positionals))
  }

  private func merge(
    _ file: SettingsFile, known: [String: Setting], into entries: inout [String: Settings.Entry]
  ) throws(SettingsError) {
    for (name, text) in try file.entries() {
      guard let setting = known[name] else {
        if elsewhere.contains(name) { continue }
        throw SettingsError(
          .unknownName, setting: name,
          "settings file \(TextEscape.shown(file.path)): unknown setting \"\(TextEscape.shown(name))\""
            + NearMiss.hint(name, among: known.keys))
      }
      let place = "settings file \(TextEscape.shown(file.path)): \"\(name)\""
      if setting.holdsSecret(text), file.isExposed {
        throw SettingsError(
          .exposedSecret, setting: name,
          "\(place) is a secret and other users can read the file: chmod 600 \(TextEscape.shown(file.path))")
      }
      entries[name] = try entry(setting, text, origin: .file(file.path), place: "\(place): ")
    }
  }

  private func merge(
    _ environment: [String: String], known: [String: Setting], into entries: inout [String: Settings.Entry]
  ) throws(SettingsError) {
    let variables = Dictionary(uniqueKeysWithValues: known.values.map { ($0.variable, $0) })
    let strangers = Set(elsewhere.map { "VISION_" + $0.uppercased().replacing("-", with: "_") })
    for (name, text) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("VISION_") {
      if name == Self.fileVariable || strangers.contains(name) { continue }
      if Self.foreignPrefixes.contains(where: name.hasPrefix) { continue }
      guard let setting = variables[name] else {
        throw SettingsError(
          .unknownName, setting: name,
          "unknown environment variable \(TextEscape.shown(name))"
            + NearMiss.hint(name, among: variables.keys))
      }
      // Empty is how Compose files and unit files say "not set".
      if text.isEmpty { continue }
      entries[setting.name] = try entry(setting, text, origin: .environment, place: "\(name)=")
    }
  }

  private func entry(
    _ setting: Setting, _ text: String, origin: Settings.Origin, place: String
  ) throws(SettingsError) -> Settings.Entry {
    guard let value = setting.kind.value(text) else {
      throw SettingsError(
        .invalidValue, setting: setting.name,
        "\(place)\(setting.shown(text)): must be \(setting.kind.allowed)")
    }
    return .init(setting: setting, text: text, value: value, origin: origin)
  }

  private func check(_ arguments: [String]) throws(SettingsError) {
    let needed = positionals.filter { !$0.isOptional }
    if arguments.count < needed.count {
      throw SettingsError(
        .missing, setting: needed[arguments.count].name, "<\(needed[arguments.count].name)> is missing")
    }
    if arguments.count > positionals.count, positionals.last?.isRepeated != true {
      throw SettingsError(
        .unexpectedArgument, "unexpected argument \"\(TextEscape.shown(arguments[positionals.count]))\"")
    }
  }
}
