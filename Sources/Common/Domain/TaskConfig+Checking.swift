extension TaskConfig {
  /// The longest time limit, in milliseconds.
  static let timeoutMillisecondsMax = 600_000

  /// Reads and checks one entry of `tasks`; throws the first problem found.
  init(checking entry: JSON, index: Int, profile: ProfileName) throws(ConfigError) {
    guard case .object(let members) = entry else {
      throw ConfigError(task: "tasks[\(index)]", field: "task", problem: "must be an object")
    }
    let name = members["name"]?.text ?? ""
    let fields = ConfigFields(members, task: name.isEmpty ? "tasks[\(index)]" : name)
    guard Self.isWellFormed(name: name) else {
      throw fields.error("name", "must be 1 to 64 of the letters a-z and A-Z, digits, -, _ and .")
    }
    try fields.allow(CodingKeys.allCases.map(\.rawValue))
    let shape = try fields.choice("shape", PayloadShape.self)
    guard try fields.choice("kind", TaskKind.self) == shape.kind else {
      throw fields.error("kind", "must be \(shape.kind.rawValue) for the shape \(shape.rawValue)")
    }
    let weight = try fields.number("weight", "a number from 0 to 1") { 0 <= $0 && $0 <= 1 }
    let maxCapacity = try fields.number("max_capacity", "a positive number, or 0 when the weight is 0") {
      $0 > 0 || ($0 == 0 && weight == 0)
    }
    let path = try fields.text("path")
    guard path.hasPrefix("/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw fields.error("path", "must start with / and hold no spaces")
    }
    self.init(
      name: name, kind: shape.kind, shape: shape, weight: weight, maxCapacity: maxCapacity,
      volumePerRequest: try fields.number("volume_per_request", "a positive number") { $0 > 0 },
      path: path, model: try fields.text("model"), streams: try fields.flag("stream"),
      timeouts: try TaskTimeouts(checking: fields.object("timeouts")),
      speed: try Self.speed(fields, needed: profile.needsSpeedModel),
      steps: try Self.pair(fields, "steps", 1...1000, needed: shape.kind == .image, ordered: true),
      size: try Self.pair(fields, "size", 64...4096, needed: shape.kind == .image, ordered: false),
      maxTokens: try Self.pair(
        fields, "max_tokens", 1...100_000, needed: shape.kind == .text, ordered: true),
      checking: try Self.checking(fields))
  }

  /// Names stand in job ids and Redis keys, where `:` separates.
  private static func isWellFormed(name: String) -> Bool {
    (1...64).contains(name.utf8.count)
      && name.unicodeScalars.allSatisfy {
        ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0)
          || $0 == "-" || $0 == "_" || $0 == "."
      }
  }

  private static func speed(_ fields: ConfigFields, needed: Bool) throws(ConfigError) -> SpeedModel? {
    guard needed || fields.has("speed") else { return nil }
    let speed = try fields.object("speed")
    try speed.allow(SpeedModel.CodingKeys.allCases.map(\.rawValue))
    return SpeedModel(
      mean: try speed.number("mean", "a positive number") { $0 > 0 },
      variance: try speed.number("variance", "a positive number") { $0 > 0 },
      overheadSeconds: try speed.number("overhead_seconds", "a number from 0") { $0 >= 0 })
  }

  private static func pair(
    _ fields: ConfigFields, _ field: String, _ range: ClosedRange<Int>, needed: Bool, ordered: Bool
  ) throws(ConfigError) -> [Int]? {
    guard needed || fields.has(field) else { return nil }
    return try fields.pair(field, in: range, ordered: ordered)
  }

  /// The checking server refuses a request that lacks one of these (vision-workers `core/models.py`).
  private static func checking(_ fields: ConfigFields) throws(ConfigError) -> JSON? {
    guard fields.has("checking") else { return nil }
    let checking = try fields.object("checking")
    for field in ["server_needed", "checking_function", "task", "endpoint"] { _ = try checking.text(field) }
    _ = try checking.object("load_model_config")
    return fields.raw("checking")
  }
}

extension TaskTimeouts {
  /// Reads the four limits and checks their order.
  init(checking fields: ConfigFields) throws(ConfigError) {
    try fields.allow(CodingKeys.allCases.map(\.rawValue))
    let range = 1...TaskConfig.timeoutMillisecondsMax
    let total = try fields.integer("total_ms", in: range)
    let firstContent = try fields.integer("first_content_ms", in: range)
    let connect = try fields.integer("connect_ms", in: range)
    let stall = try fields.integer("stall_ms", in: range)
    guard firstContent <= total else {
      throw fields.error("first_content_ms", "must not be above total_ms (\(total))")
    }
    guard connect <= firstContent else {
      throw fields.error("connect_ms", "must not be above first_content_ms (\(firstContent))")
    }
    guard stall <= total else { throw fields.error("stall_ms", "must not be above total_ms (\(total))") }
    self.init(
      connectMilliseconds: connect, firstContentMilliseconds: firstContent, stallMilliseconds: stall,
      totalMilliseconds: total)
  }
}
