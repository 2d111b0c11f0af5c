import Common
import Foundation

/// Weights before and after a change of task weights.
struct WhatIfReport {
  /// The case of a vector file, or the period; nil for a single subnet.
  var title: String?
  var before: [TaskWeight]
  var after: [TaskWeight]
  var effects: [WhatIf.Effect]

  /// - Throws: `Failure` when the change cannot be tried.
  init(
    factors: [TaskFactors], profile: ScoringProfile, title: String?, _ changes: [TaskWeight]
  ) throws(Connection.Failure) {
    self.title = title
    before = factors.map { TaskWeight(task: $0.task, weight: $0.weight) }
    do throws(WhatIfError) {
      after = try WhatIf.changed(before, by: changes)
    } catch {
      let place = title.map { "\($0): " } ?? ""
      throw Connection.Failure(description: place + error.description, exitCode: .usage)
    }
    effects = WhatIf.effects(factors, with: after, profile: profile)
  }

  /// For a subnet of a file.
  init(_ input: SubnetInput, of name: String?, _ changes: [TaskWeight]) throws(Connection.Failure) {
    try self.init(
      factors: SubnetScores(input).tasks, profile: .named(input.profile),
      title: name.map { "case \"\($0)\"" }, changes)
  }

  var json: JSON {
    let tasks = zip(before, after).map { before, after in
      JSON.object([
        "task": .string(before.task), "before": .real(before.weight), "after": .real(after.weight),
      ])
    }
    let miners = effects.map { effect in
      JSON.object([
        "hotkey": .string(effect.hotkey), "before": .number(effect.before), "after": .number(effect.after),
      ])
    }
    var members: [String: JSON] = ["tasks": .array(tasks), "weights": .array(miners)]
    if let title { members["of"] = .string(title) }
    return .object(members)
  }

  /// The lines for people: the task weights that changed, then each miner, the largest change first.
  var lines: [String] {
    var lines = title.map { [$0] } ?? []
    lines.append(Self.line("task", "before", "after", "change"))
    for (before, after) in zip(before, after) where before.weight != after.weight {
      lines.append(Self.line(before.task, before.weight, after.weight))
    }
    lines.append(Self.line("miner", "before", "after", "change"))
    for effect in effects { lines.append(Self.line(effect.hotkey, effect.before, effect.after)) }
    if effects.isEmpty { lines.append("nobody has a weight, before or after") }
    return lines
  }

  private static func line(_ name: String, _ before: Double, _ after: Double) -> String {
    line(
      name, String(format: "%.6f", before), String(format: "%.6f", after),
      String(format: "%+.6f", after - before))
  }

  private static func line(_ name: String, _ columns: String...) -> String {
    let width = 48
    let padding = String(repeating: " ", count: max(1, width - name.count))
    return name + padding + columns.map { String(repeating: " ", count: max(1, 11 - $0.count)) + $0 }.joined()
  }

  static func show(_ reports: [WhatIfReport], asJSON: Bool) -> ExitCode {
    if asJSON {
      let all = reports.map(\.json)
      print((all.count == 1 ? all[0] : JSON.array(all)).canonicalText())
    } else {
      print(reports.map { $0.lines.joined(separator: "\n") }.joined(separator: "\n\n"))
    }
    return .ok
  }
}
