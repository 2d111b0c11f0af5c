extension ScoringProfile {
  /// The claims in a miner's answer to the capacity request, by task in the given order; nil when the
  /// answer counts for nothing. A value that is missing or no number counts as 0, alone.
  ///
  /// A value is a number (`nineteen`) or an object with a `volume` (`vision`). `nineteen` wants a
  /// `miner_type` of `text` or `image`, and drops the tasks of the other type
  /// (`rayonlabs/nineteen … refresh_contenders.py`).
  public func claims(in answer: JSON, tasks: [TaskConfig]) -> [Double]? {
    guard case .object(let members) = answer else { return nil }
    var kind: TaskKind?
    if name == .nineteen {
      kind = members["miner_type"]?.text.flatMap(TaskKind.init(rawValue:))
      guard kind != nil else { return nil }
    }
    return tasks.map { task in
      guard kind == nil || task.kind == kind, let value = members[task.name] else { return 0 }
      return (value.double ?? value["volume"]?.double ?? 0).finiteOrZero
    }
  }
}
