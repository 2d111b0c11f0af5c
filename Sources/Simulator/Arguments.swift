/// The command line is wrong; the text says how.
struct UsageError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// The arguments of one subcommand: `--name value` pairs and bare `--name` flags.
struct Arguments {
  private var values: [String: String] = [:]
  private var flags: Set<String> = []

  /// Parses `words`; only the given names are known. Throws ``UsageError``.
  init(_ words: ArraySlice<String>, options: Set<String>, flags known: Set<String> = []) throws(UsageError) {
    var rest = words
    while let word = rest.popFirst() {
      let name = word.hasPrefix("--") ? String(word.dropFirst(2)) : ""
      if known.contains(name) {
        flags.insert(name)
      } else if options.contains(name) {
        guard let value = rest.popFirst() else { throw UsageError("\(word) needs a value") }
        values[name] = value
      } else {
        throw UsageError("unknown argument \(word)")
      }
    }
  }

  func has(_ flag: String) -> Bool { flags.contains(flag) }

  func text(_ name: String) -> String? { values[name] }

  /// The integer given for `name`, or the default. Throws ``UsageError`` outside `range`.
  func integer(_ name: String, default value: Int, in range: ClosedRange<Int>) throws(UsageError) -> Int {
    guard let text = values[name] else { return value }
    guard let number = Int(text), range.contains(number) else {
      throw UsageError("--\(name) takes an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
