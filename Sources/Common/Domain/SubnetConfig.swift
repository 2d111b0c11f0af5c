import Foundation

/// What is wrong with a configuration: one line that names the task and the field and says what is allowed.
public struct ConfigError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The task's name, or `tasks[3]` while its name is unknown; nil for a field of the file itself.
  public var task: String?
  /// The field, such as `timeouts.total_ms`.
  public var field: String
  /// What is allowed, or what is wrong.
  public var problem: String

  /// Names a problem.
  public init(task: String? = nil, field: String, problem: String) {
    self.task = task
    self.field = field
    self.problem = problem
  }

  /// Such as `task "avatar": weight: must be a number from 0 to 1`.
  public var description: String {
    let place = task.map { "task \"\($0)\": " } ?? ""
    return "\(place)\(field): \(problem)"
  }
}

/// The subnet's task table, as the operator writes it. docs/CONFIGURATION.md describes each field.
///
/// Only the checking initialiser makes one, so a value of this type is always valid.
public struct SubnetConfig: Encodable, Equatable, Sendable {
  /// The layout version that this program reads.
  public static let currentVersion = 1
  /// The most tasks.
  public static let tasksMax = 64
  /// The shortest and the longest period, in seconds.
  public static let periodSecondsRange = 10...86_400

  /// The layout version.
  public let version: Int
  /// The scoring profile.
  public let profile: ProfileName
  /// The length of a period in seconds; claims remain volumes per profile period.
  public let periodSeconds: Int
  /// The validator's own hotkey, when the file names it.
  public let validatorHotkey: String?
  /// Whether miners are credited with what they have shown instead of what they declare.
  public let earnedCapacity: Bool
  /// The tasks, in the file's order.
  public let tasks: [TaskConfig]

  enum CodingKeys: String, CodingKey, CaseIterable {
    case version, profile, tasks
    case periodSeconds = "period_seconds"
    case earnedCapacity = "earned_capacity"
    case validatorHotkey = "validator_hotkey"
  }

  /// Reads and checks a configuration file's bytes. Throws the first problem found.
  public init(parsing data: Data) throws(ConfigError) {
    guard let json = try? JSON(parsing: data), case .object(let members) = json else {
      throw ConfigError(field: "file", problem: "must be a JSON object")
    }
    let fields = ConfigFields(members, task: nil)
    try fields.allow(CodingKeys.allCases.map(\.rawValue))
    version = try fields.integer("version", in: Self.currentVersion...Self.currentVersion)
    let names = ProfileName.allCases.map(\.rawValue).joined(separator: " or ")
    guard let profile = ProfileName(rawValue: try fields.text("profile")) else {
      throw ConfigError(field: "profile", problem: "must be \(names)")
    }
    self.profile = profile
    periodSeconds =
      fields.has("period_seconds")
      ? try fields.integer("period_seconds", in: Self.periodSecondsRange) : profile.periodSeconds
    validatorHotkey = fields.has("validator_hotkey") ? try fields.text("validator_hotkey") : nil
    earnedCapacity = fields.has("earned_capacity") ? try fields.flag("earned_capacity") : true
    guard case .array(let entries)? = members["tasks"], (1...Self.tasksMax).contains(entries.count) else {
      throw ConfigError(field: "tasks", problem: "must be an array of 1 to \(Self.tasksMax) tasks")
    }
    var tasks: [TaskConfig] = []
    var seen: Set<String> = []
    for (index, entry) in entries.enumerated() {
      let task = try TaskConfig(checking: entry, index: index, profile: profile)
      guard seen.insert(task.name).inserted else {
        throw ConfigError(task: task.name, field: "name", problem: "must be unique")
      }
      tasks.append(task)
    }
    self.tasks = tasks
    let total = tasks.reduce(0) { $0 + $1.weight }
    guard abs(total - 1) <= 1e-9 else {
      throw ConfigError(field: "tasks", problem: "weights must sum to 1, but sum to \(total)")
    }
  }

  /// 16 hexadecimal digits that change with any setting and not with the file's layout: FNV-1a over the
  /// configuration as JSON with sorted keys.
  public var digest: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Only a non-finite number cannot be written, and the checks let none in.
    let bytes = (try? encoder.encode(self)) ?? Data()
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
