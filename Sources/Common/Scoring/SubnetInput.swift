/// What is wrong with a subnet that is to be scored: one line that names the field and the miner.
public struct SubnetInputError: Error, Equatable, CustomStringConvertible {
  /// The case of a vector file, when the subnet is one of several.
  public var of: String?
  /// The field, such as `capacities.avatar`.
  public var field: String
  /// The miner whose figure it is; nil for a field that is nobody's.
  public var miner: String?
  /// What is wrong, and what is allowed.
  public var problem: String

  /// Such as `case "random n=2": capacities.avatar, miner "5H…": must be a number`.
  public var description: String {
    let place = of.map { "case \"\($0)\": " } ?? ""
    return "\(place)\(field)\(miner.map { ", miner \"\($0)\"" } ?? ""): \(problem)"
  }
}

/// One subnet at one moment, with all that its weights follow from: what `vision score` reads. The two
/// profiles have a layout each, that of the recorded pipelines of the originals
/// (`calculate_scores_for_settings_weights` of `namoray/vision` and `rayonlabs/nineteen`).
///
/// Figures that a miner can spoil (capacities, speeds, scores) may be anything that is a number, also NaN and
/// infinity (written as texts); scoring makes them safe. What is no number, or lacks its place, is refused.
public struct SubnetInput: Equatable, Sendable {
  /// One miner's claim at a task.
  struct Claim: Equatable, Sendable {
    var hotkey: String
    /// The miner's place on the subnet, as the input names it.
    var uid: Int
    var capacity: Double
  }

  /// One miner's judged answers to a task.
  struct Verdicts: Equatable, Sendable {
    var hotkey: String
    var rows: [QualityRow]
    /// `nineteen`: work per second once content flows, beside each row; recorded and not scored.
    var streamMetrics: [Double?]
  }

  /// One task.
  struct Task: Equatable, Sendable {
    var name: String
    var weight: Double
    /// Who competes, in the input's order.
    var claims: [Claim]
    /// In the input's order; `nineteen` ranks all of them, also those that claim nothing.
    var verdicts: [Verdicts]
    /// Past periods by hotkey, newest first.
    var history: [String: [HistoryRecord]]
  }

  /// The profile whose layout the input has.
  public let profile: ProfileName
  /// In the input's order.
  var tasks: [Task]

  /// The most tasks, and the most miners of one.
  static let tasksMax = 1_000
  static let minersMax = 65_536

  /// The tasks with their weights, in the input's order.
  public var taskWeights: [TaskWeight] { tasks.map { TaskWeight(task: $0.name, weight: $0.weight) } }

  /// The same subnet with other task weights, in the order of ``taskWeights``.
  public func with(taskWeights: [TaskWeight]) -> SubnetInput {
    var copy = self
    for (index, one) in taskWeights.enumerated() { copy.tasks[index].weight = one.weight }
    return copy
  }

  /// Reads a subnet.
  /// - Parameters:
  ///   - json: the object with the fields of the profile's layout.
  ///   - order: the order of members in the text, which results follow.
  ///   - path: where `json` stands in that text.
  ///   - name: the name of the case that it is of, for errors.
  /// - Throws: the first problem found.
  public init(
    _ json: JSON, profile: ProfileName, order: JSON.KeyOrder, path: [String] = [], of name: String? = nil
  ) throws(SubnetInputError) {
    let fields = SubnetFields(json: json, order: order, path: path, name: name)
    self.profile = profile
    switch profile {
    case .vision: tasks = try fields.visionTasks()
    case .nineteen: tasks = try fields.nineteenTasks()
    }
  }

  /// Reads a whole text: one subnet, or a vector file with many.
  /// - Returns: each subnet with its name in the file; the name is nil when the text is one subnet.
  public static func all(
    _ json: JSON, profile: ProfileName, order: JSON.KeyOrder
  ) throws(SubnetInputError) -> [(name: String?, input: SubnetInput)] {
    guard case .object = json else {
      throw SubnetInputError(
        field: "input", problem: "must be a JSON object: one subnet, or a file with \"cases\"")
    }
    guard let cases = json["cases"] else {
      let path = json["in"] == nil ? [] : ["in"]
      let input = try SubnetInput(json["in"] ?? json, profile: profile, order: order, path: path)
      return [(nil, input)]
    }
    guard case .array(let entries) = cases else {
      throw SubnetInputError(field: "cases", problem: "must be an array")
    }
    var all: [(name: String?, input: SubnetInput)] = []
    for (index, entry) in entries.enumerated() {
      let name = entry["name"]?.text ?? String(index)
      guard let input = entry["in"] else {
        throw SubnetInputError(of: name, field: "in", problem: "is missing")
      }
      let path = ["cases", String(index), "in"]
      all.append((name, try SubnetInput(input, profile: profile, order: order, path: path, of: name)))
    }
    return all
  }
}
