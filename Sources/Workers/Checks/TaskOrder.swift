import Common
import Foundation

/// In which order a lane asks for the tasks' waiting answers: pure.
///
/// To load another model takes a checking server minutes, so the tasks of the loaded model come first, up to
/// a number of checks in a row; then another model has its turn, if any waits. Otherwise tasks are drawn at
/// random, weighted by how many of their answers wait.
struct TaskOrder {
  /// A task that may have answers to check.
  struct Candidate: Equatable {
    /// The task's name.
    var task: String
    /// What the server loads for it.
    var model: String
    /// Its answers that wait.
    var waiting: Int
  }

  /// Checks of one model in a row while another waits (rayonlabs/nineteen takes as many at a time).
  static let batchMax = 200
  /// Most tasks of one claim.
  static let tasksMax = 100

  /// What the server has loaded, as far as this lane knows.
  private(set) var model: String?
  /// Checks with it in a row.
  private(set) var count = 0

  /// A check of a model was posted.
  mutating func posted(_ model: String) {
    count = model == self.model ? count + 1 : 1
    self.model = model
  }

  /// The tasks' names, the one to take first in front.
  func order(_ candidates: [Candidate], using random: inout SeededRandom) -> [String] {
    let isTired = count >= TaskOrder.batchMax
    func rank(_ candidate: Candidate) -> Int {
      if candidate.waiting <= 0 { return 2 }
      return (candidate.model == model) != isTired ? 0 : 1
    }
    let keyed = candidates.map { candidate in
      // The smallest of exponential draws with rate w is each one's with a chance in proportion to w.
      let draw = -log(1 - random.uniform()) / Double(max(1, candidate.waiting))
      return (rank: rank(candidate), draw: draw, task: candidate.task)
    }
    let sorted = keyed.sorted { ($0.rank, $0.draw, $0.task) < ($1.rank, $1.draw, $1.task) }
    return sorted.prefix(TaskOrder.tasksMax).map(\.task)
  }
}
