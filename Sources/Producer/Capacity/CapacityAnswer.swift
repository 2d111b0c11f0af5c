import Common
import Foundation

/// What one miner answered to the question for its capacities, read without trusting it.
package struct CapacityAnswer: Equatable, Sendable {
  /// Most bytes of an answer.
  static let bytesMax = 64 * 1024

  /// Volume per profile period, by task in the given order; 0 where nothing usable was claimed. Not yet
  /// capped.
  package var claims: [Double]
  /// Known tasks whose value could not be used.
  var unusable: Int

  /// Reads `{"<task>": number | {"volume": number}, …, "miner_type": …}`. Unknown tasks are ignored; a
  /// value that is no number, not finite or negative counts as 0, alone. nil when the answer as a whole
  /// counts for nothing.
  package init?(parsing bytes: [UInt8], tasks: [TaskConfig], profile: ScoringProfile) {
    guard bytes.count <= Self.bytesMax, JSONDepth.isWithinLimit(bytes),
      let answer = try? JSON(parsing: Data(bytes)), let claims = profile.claims(in: answer, tasks: tasks)
    else { return nil }
    self.claims = claims
    unusable = tasks.count { task in
      guard let value = answer[task.name] else { return false }
      guard let number = value.double ?? value["volume"]?.double else { return true }
      return !number.isFinite || number < 0
    }
  }
}

/// The question that every miner is asked.
enum CapacityQuestion {
  /// The body of `POST /capacity`: what a miner needs to know about each task that is switched on
  /// (`rayonlabs/nineteen core/models/config_models.py`, without what concerns validators only).
  static func body(tasks: [TaskConfig]) -> [UInt8] {
    let configs = tasks.filter { $0.weight > 0 }.map { task in
      JSON.object([
        "task": .string(task.name), "task_type": .string(task.kind.rawValue),
        "max_capacity": .number(task.maxCapacity), "endpoint": .string(task.path),
        "model": .string(task.model), "weight": .number(task.weight), "stream": .bool(task.streams),
        "timeout": .number(Double(task.timeouts.totalMilliseconds) / 1000),
      ])
    }
    return Array(JSON.object(["task_configs": .array(configs)]).canonicalText().utf8)
  }
}
