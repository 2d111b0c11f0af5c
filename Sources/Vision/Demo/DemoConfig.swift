import Common
import Foundation

/// The task table of a demo.
enum DemoConfig {
  /// What a demo changes of the table that ships for a profile. Claims, scores and weights are computed as
  /// always, and what one answer makes more than enough is skipped, as always.
  struct Change {
    /// The least and the most tokens of a text answer. A simulated miner uses at least half of what it may,
    /// as a model seldom does: with these an answer is about the volume that a query stands for. Longer ones
    /// would ask for several times what was claimed, and leave users with miners that have no room.
    var tokens: [Int]
    /// The share of the volume that a query of this kind would stand for otherwise.
    var volumeShare: (_ kind: String) -> Double

    /// For a profile.
    init(_ profile: ProfileName) {
      switch profile {
      case .vision:
        tokens = [50, 600]
        volumeShare = { _ in 1 }
      case .nineteen:
        // All miners are newcomers and tested in full, but a minute of the smallest simulated claim is a
        // fraction of a query. With these shares it is asked about once or twice, larger ones several times.
        tokens = [50, 150]
        volumeShare = { $0 == TaskKind.text.rawValue ? 0.3 : 0.25 }
      }
    }

    /// The table with this change.
    func callAsFunction(_ table: JSON) -> JSON {
      guard case .object(var members) = table, case .array(let tasks)? = members["tasks"] else {
        return table
      }
      members["tasks"] = .array(tasks.map(changed))
      return .object(members)
    }

    private func changed(_ task: JSON) -> JSON {
      guard case .object(var fields) = task, let volume = fields["volume_per_request"]?.double,
        let kind = fields["kind"]?.text
      else { return task }
      fields["volume_per_request"] = .number(volume * volumeShare(kind))
      if kind == TaskKind.text.rawValue { fields["max_tokens"] = .array(tokens.map(JSON.integer)) }
      return .object(fields)
    }
  }

  /// The path of the table: the operator's own, or the one that ships for the profile, changed.
  static func path(_ settings: Settings, _ folder: DemoFolder) throws -> String {
    if let path = settings.stringIfSet("config") { return path }
    let profile = ProfileName(rawValue: settings.string("profile")) ?? .vision
    let shipped = try Files.find(profile == .nineteen ? "examples/nineteen.json" : "vision.json")
    guard let data = FileManager.default.contents(atPath: shipped), let table = try? JSON(parsing: data)
    else { throw DemoFailure("\(shipped) cannot be read") }
    let path = folder.file("config.json")
    let text = Change(profile)(table).canonicalText()
    guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8)) else {
      throw DemoFailure("\(path) cannot be written")
    }
    return path
  }
}
