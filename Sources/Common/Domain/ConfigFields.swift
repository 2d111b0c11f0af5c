/// The members of one JSON object of a configuration, read with errors that name the field.
struct ConfigFields {
  private let members: [String: JSON]
  private let task: String?
  private let prefix: String

  /// Reads `members`; errors name `task` and put `prefix` (such as `timeouts.`) before the field.
  init(_ members: [String: JSON], task: String?, prefix: String = "") {
    self.members = members
    self.task = task
    self.prefix = prefix
  }

  /// Whether the field is there and not null.
  func has(_ field: String) -> Bool { members[field] != nil && members[field] != .null }

  /// An error about `field`.
  func error(_ field: String, _ problem: String) -> ConfigError {
    ConfigError(task: task, field: prefix + field, problem: problem)
  }

  /// Throws unless every field is one of `known`.
  func allow(_ known: [String]) throws(ConfigError) {
    let unknown = members.keys.filter { !known.contains($0) }.sorted()
    guard let first = unknown.first else { return }
    throw error(first, "is not known; known are \(known.sorted().joined(separator: ", "))")
  }

  /// A string of 1 to 256 characters.
  func text(_ field: String) throws(ConfigError) -> String {
    guard let value = members[field]?.text, !value.isEmpty, value.utf8.count <= 256 else {
      throw error(field, "must be a text of 1 to 256 bytes")
    }
    return value
  }

  /// One of an enumeration's raw values.
  func choice<T: RawRepresentable & CaseIterable>(
    _ field: String, _: T.Type
  ) throws(ConfigError) -> T where T.RawValue == String {
    guard let value = members[field]?.text.flatMap(T.init(rawValue:)) else {
      throw error(field, "must be one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
  }

  /// A whole number within `range`.
  func integer(_ field: String, in range: ClosedRange<Int>) throws(ConfigError) -> Int {
    guard let value = members[field]?.int, range.contains(value) else {
      let (least, most) = (range.lowerBound, range.upperBound)
      throw error(
        field, least == most ? "must be \(least)" : "must be a whole number from \(least) to \(most)")
    }
    return value
  }

  /// A finite number for which `rule` holds.
  func number(
    _ field: String, _ allowed: String, where rule: (Double) -> Bool
  ) throws(ConfigError) -> Double {
    guard let value = members[field]?.double, value.isFinite, rule(value) else {
      throw error(field, "must be \(allowed)")
    }
    return value
  }

  /// `true` or `false`.
  func flag(_ field: String) throws(ConfigError) -> Bool {
    guard let value = members[field]?.flag else { throw error(field, "must be true or false") }
    return value
  }

  /// Two whole numbers within `range`; when `ordered`, the first is not above the second.
  func pair(_ field: String, in range: ClosedRange<Int>, ordered: Bool) throws(ConfigError) -> [Int] {
    let order = ordered ? ", the smaller first" : ""
    let problem = "must be two whole numbers from \(range.lowerBound) to \(range.upperBound)\(order)"
    guard case .array(let elements)? = members[field] else { throw error(field, problem) }
    let values = elements.compactMap(\.int)
    guard elements.count == 2, values.count == 2, values.allSatisfy(range.contains),
      !ordered || values[0] <= values[1]
    else { throw error(field, problem) }
    return values
  }

  /// An object, to be read with the same task in its errors.
  func object(_ field: String) throws(ConfigError) -> ConfigFields {
    guard case .object(let inner)? = members[field] else { throw error(field, "must be an object") }
    return ConfigFields(inner, task: task, prefix: "\(prefix)\(field).")
  }

  /// The raw value.
  func raw(_ field: String) -> JSON? { members[field] }
}
