import Aggregator
import Common
import Foundation

/// `vision replay`: recomputes published weights from what was exported, and compares bit for bit.
enum ReplayCommand {
  static let entry = VisionCommand.Entry(
    name: "replay", about: "Recompute published weights from the exported ledger, bit for bit.",
    settings: Connection.settings + RecordedPeriods.settings + [
      RecordedPeriods.period,
      Setting("all", .boolean, default: "false", help: "Every period of the folder."),
      Setting(
        "offline", .boolean, default: "false",
        help: "Compare with the folder only. Otherwise also with what Redis keeps, when it can be reached."),
    ], work: run)

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    guard let directory = RecordedPeriods.directory(settings) else {
      throw Connection.Failure(
        description: "which folder? Name it with --directory; vision-aggregator fills the one of its"
          + " --export-directory", exitCode: .usage)
    }
    let periods = try periods(settings, directory)
    let published = settings.bool("offline") ? nil : try PublishedResults(settings)
    defer { published?.close() }
    for period in periods {
      let agreement = try Replay.run(period, in: directory)
      let redis = try await published?.compare(agreement) ?? "Redis was not asked"
      print(line(agreement, redis))
      flushOutput()
    }
    return .ok
  }

  private static func periods(
    _ settings: Settings, _ directory: ExportDirectory
  ) throws -> [PeriodID] {
    if let period = RecordedPeriods.period(settings) {
      guard !settings.bool("all") else {
        throw Connection.Failure(description: "either --period or --all", exitCode: .usage)
      }
      return [period]
    }
    let known = try directory.periods()
    guard let newest = known.last else {
      throw Connection.Failure(description: "\(directory.path) holds no period yet", exitCode: .failed)
    }
    return settings.bool("all") ? known : [newest]
  }

  /// The line about a period that agrees.
  static func line(_ agreement: Replay.Agreement, _ redis: String) -> String {
    let result = agreement.result
    let what: String
    switch result.outcome {
    case .weights(let weights): what = "\(weights.count) weights"
    case .nothing(let reason): what = "nothing set (\(reason))"
    }
    let segment = agreement.segment
    return "period \(result.period): bit-equal · \(what) · profile \(result.profile) · configuration"
      + " \(result.configDigest) · \(segment.entries) entries, \(segment.firstID) to \(segment.lastID) · segment"
      + " \(segment.digest.prefix(16)) · \(redis)"
  }
}

/// What Redis keeps of published results.
@IO
final class PublishedResults {
  /// What is said when Redis keeps the same.
  static let agrees = "Redis agrees"

  private let queue: JobQueue

  /// - Throws: `Failure` when the settings name no address.
  init(_ settings: Settings) throws(Connection.Failure) {
    queue = JobQueue(
      redis: try Connection.client(settings), keys: Keys(namespace: settings.string("namespace")))
  }

  init(_ queue: JobQueue) { self.queue = queue }

  func close() { queue.redis.close() }

  /// Holds a replayed result against what Redis keeps of it.
  /// - Returns: what was compared, in a few words.
  /// - Throws: `ExportError` that names the first difference.
  func compare(_ agreement: Replay.Agreement) async throws -> String {
    let period = agreement.result.period
    let difference: String?
    do throws(RedisError) {
      guard let text = try await RecordedPeriods.text(of: period, queue) else {
        return "Redis keeps no result of it"
      }
      if text != agreement.text {
        difference = JSONDifference.first(published: text, recomputed: agreement.text)
      } else {
        difference = try await currentDifference(agreement)
      }
    } catch {
      return error.isTransient ? "Redis cannot be reached" : "Redis: \(error.message)"
    }
    if let difference { throw ExportError("period \(period) in Redis: \(difference)") }
    return Self.agrees
  }

  /// What differs in the current weights and what stands beside them, when they are of this period.
  private func currentDifference(_ agreement: Replay.Agreement) async throws(RedisError) -> String? {
    let period = agreement.result.period.description
    let about = try await queue.redis.send("HGETALL", queue.keys.fixed(.weightsMeta)).fields ?? [:]
    if about["period"] == period, about["segment_digest"] != agreement.segment.digest {
      return "segment_digest: published \(about["segment_digest"] ?? "none"), recomputed"
        + " \(agreement.segment.digest)"
    }
    guard about["weights_period"] == period, case .weights(let weights) = agreement.result.outcome else {
      return nil
    }
    let published = try await queue.redis.send("HGETALL", queue.keys.fixed(.weights)).fields ?? [:]
    for weight in weights {
      let recomputed = WeightsDocument.text(of: weight)
      guard let text = published[weight.hotkey], text == recomputed else {
        return "miner \(weight.hotkey): published \(published[weight.hotkey] ?? "nothing"), recomputed"
          + " \(recomputed)"
      }
    }
    guard published.count == weights.count else {
      return "published \(published.count) weights, recomputed \(weights.count)"
    }
    return nil
  }
}
