import Common

/// Whether another answer of a task would be taken for checking, as of the last second: so that answers
/// which would be dropped are not collected. The settle script has the last word.
@IO
final class CheckRoom {
  /// Answers that may wait for all tasks together, shared by weight.
  static let waitingMax = 1000
  /// The least share of a task that is checked at all.
  static let waitingMin = 10

  private let queue: JobQueue
  private let bytesMax: Int
  private var counters: [String: String] = [:]

  init(queue: JobQueue, bytesMax: Int) {
    self.queue = queue
    self.bytesMax = bytesMax
  }

  /// The most answers of a task that may wait.
  static func quota(_ task: TaskConfig) -> Int {
    max(waitingMin, Int(Double(waitingMax) * task.weight))
  }

  /// Whether an answer of the task should be collected.
  func hasRoom(_ task: TaskConfig) -> Bool {
    guard task.checking != nil else { return false }
    let waiting = counters["waiting:\(task.name)"].flatMap { Int($0) } ?? 0
    let bytes = counters["bytes"].flatMap { Int($0) } ?? 0
    return waiting < CheckRoom.quota(task) && bytes < bytesMax
  }

  /// The offer of one answer. A checking server needs the request beside it: the first line is the request,
  /// the rest the answer.
  func sample(_ task: TaskConfig, request: [UInt8], answer: [UInt8]) -> Sample {
    Sample(
      waitingMax: CheckRoom.quota(task), bytesMax: bytesMax,
      answer: request + [UInt8(ascii: "\n")] + answer)
  }

  /// Reads the counters anew.
  func refresh() async throws(RedisError) {
    counters = try await queue.redis.send("HGETALL", queue.keys.fixed(.checks)).fields ?? [:]
  }
}
