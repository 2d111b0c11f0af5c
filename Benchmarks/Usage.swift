import Common

/// Processor time of several processes over the same stretch of time.
@IO
struct Usage {
  private let processes: [Int32]
  private let microseconds: [Double]
  private let at = Monotonic.now()

  /// Notes where the processes stand.
  init(_ processes: [Int32]) throws {
    self.processes = processes
    microseconds = try processes.map { try ProcessFigures.microseconds(of: $0) }
  }

  /// What each used since, in microseconds, and the seconds that went by.
  func since() throws -> (microseconds: [Double], seconds: Double) {
    let now = try processes.map { try ProcessFigures.microseconds(of: $0) }
    let seconds = Double(Monotonic.now().nanoseconds - at.nanoseconds) / 1e9
    return (zip(now, microseconds).map { $0 - $1 }, seconds)
  }
}
