import Foundation

/// How busy a core was over a stretch of time, by all that ran on it, as `/proc/stat` counts it.
struct CoreUsage {
  private let core: Int
  private let before: (idle: Double, all: Double)

  /// Begins to count.
  init(_ core: Int) {
    self.core = core
    before = CoreUsage.read(core)
  }

  /// The share of the time since in which the core did not idle, from 0 to 1.
  func busyShare() -> Double {
    let now = CoreUsage.read(core)
    return 1 - (now.idle - before.idle) / max(1, now.all - before.all)
  }

  private static func read(_ core: Int) -> (idle: Double, all: Double) {
    let text = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("cpu\(core) ") }
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks = (line ?? "").split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return (0, 0) }
    return (ticks[3] + ticks[4], ticks.reduce(0, +))
  }
}
