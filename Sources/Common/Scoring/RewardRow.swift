/// One verdict that is kept: the raw score and what the validator measured.
public struct RewardRow: Codable, Equatable, Sendable {
  /// When the verdict entered the ledger, in Unix milliseconds.
  public var timeMilliseconds: Int
  /// The raw verdict; always finite.
  public var score: Double
  /// Work of the answer, in thousandths of a volume unit.
  public var workMilli: Int
  /// Characters, steps or embeddings of the answer.
  public var units: Int
  /// From the request's start to its end, in milliseconds.
  public var totalMilliseconds: Int

  /// A verdict.
  public init(timeMilliseconds: Int, score: Double, workMilli: Int, units: Int, totalMilliseconds: Int) {
    self.timeMilliseconds = timeMilliseconds
    self.score = score
    self.workMilli = workMilli
    self.units = units
    self.totalMilliseconds = totalMilliseconds
  }

  /// Reads `[time, score, work, units, total]`.
  public init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    timeMilliseconds = try list.decode(Int.self)
    score = try list.decode(Double.self)
    workMilli = try list.decode(Int.self)
    units = try list.decode(Int.self)
    totalMilliseconds = try list.decode(Int.self)
  }

  /// Writes `[time, score, work, units, total]`.
  public func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    try list.encode(timeMilliseconds)
    try list.encode(score)
    try list.encode(workMilli)
    try list.encode(units)
    try list.encode(totalMilliseconds)
  }
}

extension ScoringProfile {
  /// Which of one miner's rows of one task count: the newest ones within the window, without another
  /// task's rows and none twice.
  ///
  /// The originals filled up to 50 rows with the newest rows of *any* task, which counted the task's own
  /// rows twice and mixed steps per second with tokens per second
  /// (`namoray/vision validation/db/db_management.py`, `rayonlabs/nineteen validator/db/src/functions.py`).
  /// - Parameters:
  ///   - times: the rows' times in milliseconds, newest first.
  ///   - anchorMilliseconds: where the window ends. The newest verdict of the whole task: when checking
  ///     stops altogether, the rows stay as they are instead of ageing away.
  /// - Returns: how many of the first rows count.
  public func rowsThatCount(times: some Sequence<Int>, anchorMilliseconds: Int) -> Int {
    let oldest = anchorMilliseconds - rewardWindowMilliseconds
    var count = 0
    for time in times {
      guard count < rewardRowsMax, time >= oldest else { break }
      count += 1
    }
    return count
  }

  /// A kept verdict as the quality formulas see it.
  public func qualityRow(_ row: RewardRow, task: TaskConfig) -> QualityRow {
    // An answer is never instant: 0 ms is below the clock's resolution.
    let seconds = Double(max(row.totalMilliseconds, 1)) / 1000
    switch name {
    case .vision:
      let speed = task.speed.map {
        speedFactor(kind: task.kind, units: row.units, seconds: seconds, model: $0)
      }
      return QualityRow(quality: row.score, speed: speed)
    case .nineteen:
      return QualityRow(
        quality: row.score, speed: Self.metric(work: Double(row.workMilli) / 1000, seconds: seconds))
    }
  }
}
