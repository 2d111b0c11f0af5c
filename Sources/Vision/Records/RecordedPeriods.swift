import Aggregator
import Common
import Foundation

/// Where commands find periods that are over: an export folder, or the results that Redis keeps.
enum RecordedPeriods {
  /// The settings that name an export folder. The second one is the aggregator's own.
  static let settings = [
    Setting("directory", .path, help: "The export folder; by default the one of --export-directory."),
    AggregatorOptions.exportDirectory,
  ]
  /// Names a period.
  static let period = Setting(
    "period", .integer(1...Int(UInt32.max)),
    help: "The period, by its start in Unix seconds; by default the newest.")

  /// The export folder; nil when none is named.
  static func directory(_ settings: Settings) -> ExportDirectory? {
    let path = settings.stringIfSet("directory") ?? settings.stringIfSet("export-directory")
    return path.map { ExportDirectory($0) }
  }

  /// The period that the settings name; nil for the newest.
  static func period(_ settings: Settings) -> PeriodID? {
    settings.intIfSet("period").map { PeriodID(startSeconds: $0) }
  }

  /// Whether the command line names a recorded period or folder.
  static func isAsked(_ settings: Settings) -> Bool {
    settings.isSet("period") || settings.origin("directory") == .flag
      || settings.origin("export-directory") == .flag
  }

  /// A period's result from the export folder if one is named, else from Redis.
  /// - Throws: `Failure` or `ExportError` when it is not there.
  @IO static func result(_ settings: Settings) async throws -> PeriodResult {
    let wanted = period(settings)
    if let directory = directory(settings) {
      guard let period = try wanted ?? directory.periods().last else {
        throw Connection.Failure(description: "\(directory.path) holds no period yet", exitCode: .failed)
      }
      return try directory.result(period).result
    }
    let text: String? = try await Connection.withQueue(settings) { queue in
      try await RecordedPeriods.text(of: wanted, queue)
    }
    guard let text else {
      let what = wanted.map { "no result of period \($0)" } ?? "no results yet"
      throw Connection.Failure(
        description: "Redis keeps \(what); others may be in an export folder (--directory)",
        exitCode: .failed)
    }
    guard let result = try? JSONDecoder().decode(PeriodResult.self, from: Data(text.utf8)),
      result.version == PeriodResult.currentVersion
    else {
      throw Connection.Failure(description: "the result in Redis is of another layout", exitCode: .failed)
    }
    return result
  }

  /// The result that Redis keeps of a period, or of the newest one; nil when there is none.
  @IO static func text(of wanted: PeriodID?, _ queue: JobQueue) async throws(RedisError) -> String? {
    struct Name: Decodable { var period: PeriodID }
    let key = queue.keys.fixed(.weightsHistory)
    let count = try await queue.redis.send("LLEN", key).int ?? 0
    for index in 0..<count {
      guard let text = try await queue.redis.send("LINDEX", key, String(index)).text else { return nil }
      guard let wanted else { return text }
      if let name = try? JSONDecoder().decode(Name.self, from: Data(text.utf8)), name.period == wanted {
        return text
      }
    }
    return nil
  }
}

extension PeriodResult {
  /// The profile that it was scored by.
  /// - Throws: `Failure` when this program does not know it.
  func scoringProfile() throws(Connection.Failure) -> ScoringProfile {
    guard let name = ProfileName(rawValue: profile) else {
      throw Connection.Failure(description: "profile '\(profile)' is not known", exitCode: .failed)
    }
    return .named(name)
  }

  /// Every miner's factors with their shares, by task.
  var factors: [TaskFactors] {
    tasks.map { TaskFactors(task: $0.task, weight: $0.weight, miners: $0.miners.map(\.factors)) }
  }
}
