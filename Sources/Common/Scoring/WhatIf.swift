/// A task and its share of the final weights.
public struct TaskWeight: Equatable, Sendable {
  /// The task's name.
  public var task: String
  /// 0 to 1; those of a configuration sum to 1.
  public var weight: Double

  /// Names a task's weight.
  public init(task: String, weight: Double) {
    self.task = task
    self.weight = weight
  }
}

/// Why a change cannot be tried, in one line.
public struct WhatIfError: Error, Equatable, CustomStringConvertible {
  /// What is wrong, and what is allowed.
  public let description: String
}

/// What a change of task weights would have done to a period that is over.
///
/// Only the weights change: what miners claimed, answered and earned before stays as it was. So it shows the
/// first effect; how miners would follow the money is another matter.
public enum WhatIf {
  /// Reads `chat-llama-3=0.3`.
  /// - Throws: `WhatIfError` unless it is a name and a number of at least 0.
  public static func parse(_ text: String) throws(WhatIfError) -> TaskWeight {
    guard let equals = text.lastIndex(of: "="), equals > text.startIndex,
      let weight = Double(text[text.index(after: equals)...]), weight.isFinite, weight >= 0
    else {
      throw WhatIfError(description: "'\(text)' is no task weight: write TASK=NUMBER, such as avatar=0.3")
    }
    return TaskWeight(task: String(text[..<equals]), weight: weight)
  }

  /// The weights with some of them changed. The changed ones are as stated, and the others keep their
  /// proportions and make up the rest, so that the sum is what it was: 1 for a configuration, which can be
  /// written into the task table as it stands.
  /// - Throws: `WhatIfError` for a task that there is not or that is named twice, for more than the sum, and
  ///   when nothing is left that could make up the rest.
  public static func changed(
    _ weights: [TaskWeight], by changes: [TaskWeight]
  ) throws(WhatIfError) -> [TaskWeight] {
    var stated: [String: Double] = [:]
    for change in changes {
      guard weights.contains(where: { $0.task == change.task }) else {
        let names = weights.map(\.task).joined(separator: ", ")
        throw WhatIfError(description: "there is no task '\(change.task)'; the tasks are \(names)")
      }
      guard stated.updateValue(change.weight, forKey: change.task) == nil else {
        throw WhatIfError(description: "task '\(change.task)' is changed twice")
      }
    }
    let total = weights.reduce(0) { $0 + $1.weight.finiteOrZero }
    let taken = Array(stated.values).sumInAnyOrder()
    let others = weights.filter { stated[$0.task] == nil }.reduce(0) { $0 + $1.weight.finiteOrZero }
    let rest = total - taken
    guard rest >= -1e-9 else {
      throw WhatIfError(description: "the changed weights sum to \(taken), and all together to \(total)")
    }
    guard others > 0 || abs(rest) <= 1e-9 else {
      throw WhatIfError(
        description:
          "the changed weights sum to \(taken) instead of \(total), and no other task with a weight"
          + " is left to make up the rest")
    }
    let factor = others > 0 ? max(rest, 0) / others : 0
    return weights.map { one in
      TaskWeight(task: one.task, weight: stated[one.task] ?? one.weight.finiteOrZero * factor)
    }
  }

  /// One miner's weight before and after.
  public struct Effect: Equatable, Sendable {
    /// The miner.
    public var hotkey: String
    /// Its weight as it was.
    public var before: Double
    /// Its weight with the change.
    public var after: Double
  }

  /// What other task weights do to the weights of the same factors, the largest change first.
  /// - Parameter shared: the factors with their shares.
  public static func effects(
    _ shared: [TaskFactors], with weights: [TaskWeight], profile: ScoringProfile
  ) -> [Effect] {
    let changed = zip(shared, weights).map { task, weight in
      TaskFactors(task: task.task, weight: weight.weight, miners: task.miners)
    }
    let before = profile.weights(shared).byHotkey
    let after = profile.weights(changed).byHotkey
    return Set(before.keys).union(after.keys).map { hotkey in
      Effect(hotkey: hotkey, before: before[hotkey] ?? 0, after: after[hotkey] ?? 0)
    }.sorted { left, right in
      let (a, b) = (abs(left.after - left.before), abs(right.after - right.before))
      return a != b ? a > b : left.hotkey < right.hotkey
    }
  }
}

extension SubnetWeights {
  /// The weights by hotkey; empty when nothing is set.
  public var byHotkey: [String: Double] {
    if case .set(let weights) = self { return weights }
    return [:]
  }
}
