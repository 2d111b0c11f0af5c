import Common
import Foundation

/// The task table of a demo.
enum DemoConfig {
  /// For a demo of the `nineteen` profile each query stands for this share of the volume that it would stand
  /// for otherwise, and text answers are as short. All miners are newcomers and tested in full, but a minute
  /// of the smallest simulated claim is a fraction of a query, and one usual answer would take a small miner's
  /// hardware for a minute, in which users get nothing from it. With these shares such a claim is asked about
  /// once or twice, larger ones several times; what one answer makes more than enough is skipped, as always.
  /// Claims, scores and weights are computed as always.
  static func nineteenVolumeShare(_ kind: String) -> Double { kind == TaskKind.text.rawValue ? 0.3 : 0.25 }

  /// The least and the most tokens of an answer in such a demo: about the volume that a query then stands for.
  static let nineteenTokens = [50, 150]

  /// The path of the table: the operator's own, or the one that ships for the profile.
  static func path(_ settings: Settings, _ folder: DemoFolder) throws -> String {
    if let path = settings.stringIfSet("config") { return path }
    guard settings.string("profile") == "nineteen" else { return try Files.find("vision.json") }
    let shipped = try Files.find("examples/nineteen.json")
    guard let data = FileManager.default.contents(atPath: shipped), let table = try? JSON(parsing: data)
    else { throw DemoFailure("\(shipped) cannot be read") }
    let path = folder.file("config.json")
    let text = denser(table, tokens: nineteenTokens, share: nineteenVolumeShare).canonicalText()
    guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8)) else {
      throw DemoFailure("\(path) cannot be written")
    }
    return path
  }

  /// The same table with queries that stand for less volume each; the share follows from the task's kind.
  /// Text answers have `tokens`, the least and the most.
  static func denser(_ table: JSON, tokens: [Int], share: (_ kind: String) -> Double) -> JSON {
    guard case .object(var members) = table, case .array(let tasks)? = members["tasks"] else { return table }
    members["tasks"] = .array(
      tasks.map { task in
        guard case .object(var fields) = task, let volume = fields["volume_per_request"]?.double,
          let kind = fields["kind"]?.text
        else { return task }
        fields["volume_per_request"] = .number(volume * share(kind))
        if kind == TaskKind.text.rawValue { fields["max_tokens"] = .array(tokens.map(JSON.integer)) }
        return .object(fields)
      })
    return .object(members)
  }
}
