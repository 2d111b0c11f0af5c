extension SettingsTable {
  /// Columns of a line of help.
  static let helpColumns = 100

  /// The text of `--help`, written from the table.
  public var helpText: String {
    var arguments = ""
    for positional in positionals {
      let name = "<\(positional.name)>" + (positional.isRepeated ? "..." : "")
      arguments += positional.isOptional ? " [\(name)]" : " \(name)"
    }
    var lines = [about, "", "Usage: \(program) [--setting value]...\(arguments)"]
    if !positionals.isEmpty {
      lines.append("")
      for positional in positionals {
        lines.append("  <\(positional.name)>")
        lines += Self.wrapped(positional.help, indent: 6)
      }
    }
    let order =
      "A flag wins over its environment variable, that over the settings file, that over the default."
    lines += [""] + Self.wrapped(order, indent: 0) + [""]
    let rows = settings.map(Self.row) + Self.rowsOfEveryProgram
    let width = (rows.map(\.flag.count).max() ?? 0) + 2
    for row in rows {
      let padding = String(repeating: " ", count: width - row.flag.count)
      lines.append(row.variable.isEmpty ? "  " + row.flag : "  " + row.flag + padding + row.variable)
      lines += Self.wrapped(row.text, indent: 6)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private typealias Row = (flag: String, variable: String, text: String)

  private static let rowsOfEveryProgram: [Row] = [
    (
      "--settings PATH", fileVariable,
      "A JSON object of settings by name, such as {\"redis-url\": \"redis://10.0.0.5:6379/0\"}. A file with"
        + " a secret in it must be readable by its owner only."
    ),
    ("--help", "", "Prints this text."), ("--version", "", "Prints the version."),
  ]

  private static func row(_ setting: Setting) -> Row {
    var flag = "--\(setting.name) \(setting.kind.placeholder)"
    if case .boolean = setting.kind { flag = "--[no-]\(setting.name)" }
    // A secret has no flag: its name is the key in the settings file.
    if setting.isSecret { flag = "(\(setting.name))" }
    var text = "\(setting.help) Allowed: \(setting.kind.allowed)."
    if setting.isSecret { text += " A secret: taken from the environment or the settings file only." }
    if let value = setting.defaultText {
      text += value.isEmpty ? " Default: empty." : " Default: \(value)"
    } else {
      text += setting.isRequired ? " Required." : " Default: not set."
    }
    return (flag, setting.variable, text)
  }

  /// `text` in lines of at most ``helpColumns``, broken between words.
  private static func wrapped(_ text: String, indent: Int) -> [String] {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, indent + line.count + 1 + word.count > helpColumns {
        lines.append(margin + line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " " + word
    }
    return line.isEmpty ? lines : lines + [margin + line]
  }
}
