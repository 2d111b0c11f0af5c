import Aggregator
import Common
import Foundation

/// Every factor behind one miner's weight in one period.
struct Explanation {
  /// The miner at one task.
  struct Task {
    var name: String
    var weight: Double
    var miner: MinerResult
    /// Its part of the effective volume before the power.
    var share: Double
    /// Its place by effective volume, from 1, and of how many.
    var place: (number: Int, of: Int)
  }

  let result: PeriodResult
  let profile: ScoringProfile
  let hotkey: String
  let tasks: [Task]
  /// Nil when it got none.
  let weight: MinerWeight?
  /// Its place by weight, from 1, and how many have one.
  let place: (number: Int, of: Int)
  /// What each factor cost it, most first.
  let gains: [FactorGain]

  /// - Parameter name: the hotkey, or a beginning of it that no other miner shares.
  /// - Throws: `Failure` when the period has no such miner, or several.
  init(_ result: PeriodResult, hotkey name: String) throws(Connection.Failure) {
    let hotkey = try Self.hotkey(name, in: result)
    let factors = result.factors
    self.result = result
    self.hotkey = hotkey
    profile = try result.scoringProfile()
    tasks = zip(result.tasks, factors).compactMap { task, factors in
      guard let index = task.miners.firstIndex(where: { $0.factors.hotkey == hotkey }) else { return nil }
      let miner = task.miners[index]
      let better = task.miners.count { $0.factors.effectiveVolume > miner.factors.effectiveVolume }
      return Task(
        name: task.task, weight: task.weight, miner: miner, share: factors.shares[index].share,
        place: (better + 1, task.miners.count))
    }
    var weights: [MinerWeight] = []
    if case .weights(let set) = result.outcome { weights = set }
    let own = weights.first { $0.hotkey == hotkey }
    weight = own
    place = (weights.count { $0.weight > own?.weight ?? 0 } + 1, weights.count)
    gains = profile.gains(factors, of: hotkey)
  }

  private static func hotkey(
    _ name: String, in result: PeriodResult
  ) throws(Connection.Failure) -> String {
    let all = Set(result.tasks.flatMap { $0.miners.map(\.factors.hotkey) })
    if all.contains(name) { return name }
    let matches = name.isEmpty ? [] : all.filter { $0.hasPrefix(name) }.sorted()
    guard let first = matches.first else {
      throw Connection.Failure(
        description: "no miner '\(name.prefix(80))' claimed capacity in period \(result.period), which has"
          + " \(all.count) miners with a claim", exitCode: .failed)
    }
    guard matches.count == 1 else {
      throw Connection.Failure(
        description: "'\(name)' is the beginning of \(matches.count) hotkeys, among them \(first) and"
          + " \(matches[1])", exitCode: .failed)
    }
    return first
  }

  // MARK: people

  var lines: [String] {
    var lines = [headline, "profile \(result.profile), configuration \(result.configDigest)", ""]
    for task in tasks { lines += Self.lines(task, profile) + [""] }
    lines.append("What would have changed it most, with everything else as it was:")
    let worth = gains.filter { $0.gain > 0 }
    for gain in worth.prefix(5) {
      lines.append(
        "  \(String(format: "%+.6f", gain.gain))  \(gain.task): \(gain.factor)"
          + " \(Self.short(gain.from)) -> \(Self.short(gain.to)), weight \(Self.short(gain.weight))")
    }
    if worth.isEmpty { lines.append("  nothing: every factor is at its best, or the task pays nobody") }
    return lines
  }

  private var headline: String {
    let start = "\(hotkey) in period \(result.period): "
    if let weight {
      return start + "weight \(String(format: "%.6f", weight.weight)), u16 \(weight.value), place"
        + " \(place.number) of \(place.of), uid \(weight.uid)"
    }
    if case .nothing(let reason) = result.outcome { return start + "nothing is set: \(reason)" }
    return start + "no weight"
  }

  private static func lines(_ task: Task, _ profile: ScoringProfile) -> [String] {
    let (counters, factors) = (task.miner.counters, task.miner.factors)
    let (quality, history) = (factors.quality, factors.history)
    let good = counters.total - counters.rateLimits - counters.failures
    let asked =
      "\(counters.total): \(good) good, \(counters.rateLimits) rate limited, \(counters.failures) failed"
    let volume = short(Double(counters.workMilli) / 1000)
    let points = factors.share * task.weight
    return [
      "\(task.name) (task weight \(short(task.weight))): \(String(format: "%.6f", points)) points",
      row("requests", asked),
      row("volume", "\(volume) of capacity \(short(factors.capacity))"),
      row("period score", task.miner.periodScore.map(short) ?? "none: nothing was asked"),
      row("verdicts", "\(quality.rows), average \(short(quality.average))"),
      row(profile.name == .vision ? "speed factor" : "rank bonus", short(quality.speed)),
      row("quality", short(quality.combined)),
      row(
        "history",
        "\(short(history.normalised)) = mean \(short(history.mean)) of \(history.records) periods x newcomer"
          + " \(short(history.multiplier))"),
      row(
        "effective volume",
        "\(short(factors.effectiveVolume)), place \(task.place.number) of \(task.place.of)"
      ),
      row("share", "\(short(task.share)), \(short(factors.share)) after the power \(profile.shareExponent)"),
    ]
  }

  private static func row(_ name: String, _ value: String) -> String {
    "  " + name.padding(toLength: 18, withPad: " ", startingAt: 0) + value
  }

  private static func short(_ value: Double) -> String { String(format: "%.6g", value) }

  // MARK: programs

  var json: JSON {
    var members: [String: JSON] = [
      "period": .integer(result.period.startSeconds), "profile": .string(result.profile),
      "config_digest": .string(result.configDigest), "hotkey": .string(hotkey),
      "weight": .number(weight?.weight ?? 0), "u16": .integer(Int(weight?.value ?? 0)),
      "tasks": .array(tasks.map(json)), "gains": .array(gains.map(Self.json)),
    ]
    if weight != nil { members["place"] = .integer(place.number) }
    members["of"] = .integer(place.of)
    if let uid = weight?.uid ?? tasks.first?.miner.uid { members["uid"] = .integer(uid) }
    if case .nothing(let reason) = result.outcome { members["nothing_set"] = .string(reason) }
    return .object(members)
  }

  private func json(_ task: Task) -> JSON {
    let (counters, factors) = (task.miner.counters, task.miner.factors)
    var members = factors.explanation(profile: profile, taskWeight: task.weight, share: task.share)
    members["task"] = .string(task.name)
    members["requests"] = .integer(counters.total)
    members["rate_limits"] = .integer(counters.rateLimits)
    members["failures"] = .integer(counters.failures)
    members["volume"] = .number(Double(counters.workMilli) / 1000)
    members["period_score"] = task.miner.periodScore.map(JSON.number) ?? .null
    members["verdicts"] = .integer(factors.quality.rows)
    members["periods"] = .integer(factors.history.records)
    members["place"] = .integer(task.place.number)
    members["of"] = .integer(task.place.of)
    return .object(members)
  }

  private static func json(_ gain: FactorGain) -> JSON {
    .object([
      "task": .string(gain.task), "factor": .string(gain.factor), "from": .real(gain.from),
      "to": .real(gain.to), "weight": .number(gain.weight), "gain": .number(gain.gain),
    ])
  }
}
