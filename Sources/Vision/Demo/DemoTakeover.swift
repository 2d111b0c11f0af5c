import Foundation

/// What became of the jobs that a worker held when it was killed. Pure: what is seen in Redis, and when by
/// Redis's clock, is told.
struct DemoTakeover: Equatable {
  /// The longest time from the kill until the last of the jobs is taken over, ms.
  static let limitMilliseconds = 20_000

  /// When the worker was dead, Unix ms.
  let killedAtMilliseconds: Int
  /// The tokens of the jobs that still are where the dead worker left them.
  private(set) var open: [String: String] = [:]
  /// The jobs that were seen with a new token: another worker claimed them.
  private(set) var claimed: Set<String> = []
  /// The jobs that were first seen again when they had ended: another worker was quick, the period was over,
  /// or a user's answer had begun and cannot be begun again.
  private(set) var ended: Set<String> = []
  /// When the last of them was claimed or had ended, ms after the kill.
  private(set) var lastMilliseconds = 0

  init(killedAtMilliseconds: Int) { self.killedAtMilliseconds = killedAtMilliseconds }

  /// The dead worker held this job.
  mutating func hold(_ id: String, token: String) {
    guard !claimed.contains(id), !ended.contains(id) else { return }
    open[id] = token
  }

  /// A job was seen in this state with this token, both nil when its record is gone.
  mutating func note(_ id: String, state: String?, token: String?, atMilliseconds now: Int) {
    guard let old = open[id] else { return }
    switch state {
    case "running" where token == old, "waiting": return
    case "running": claimed.insert(id)
    default: ended.insert(id)
    }
    open[id] = nil
    lastMilliseconds = max(lastMilliseconds, now - killedAtMilliseconds)
  }

  /// Whether the time for it is over, Unix ms.
  func isOverdue(at now: Int) -> Bool { now - killedAtMilliseconds > Self.limitMilliseconds }

  /// One line.
  var line: String {
    let count = claimed.count + ended.count + open.count
    return "the killed worker held \(count) jobs: \(claimed.count) claimed again, \(ended.count) ended, "
      + String(format: "the last %.1f s after the kill", Double(lastMilliseconds) / 1000)
  }

  /// What does not hold of it.
  var problems: [String] {
    if !open.isEmpty { return ["\(open.count) jobs of the killed worker were not taken over"] }
    if claimed.isEmpty, ended.isEmpty { return ["the killed worker held no job: nothing was shown"] }
    guard lastMilliseconds > Self.limitMilliseconds else { return [] }
    return ["the last job of the killed worker was taken over only after \(lastMilliseconds) ms"]
  }
}
