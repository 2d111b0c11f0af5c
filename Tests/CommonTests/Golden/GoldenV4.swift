import Foundation

@testable import Common

/// The recorded behaviour of `namoray/vision`, version 4.
enum GoldenV4 {
  static let profile = ScoringProfile.vision

  static let rules: [String: GoldenRule] = [
    "v4_tasks": GoldenRule(ours: task),
    "v4_capacity_clamp": GoldenRule(ours: capacities, defect: negativeClaims),
    "v4_percentage_to_score": GoldenRule(ours: { testedShare($0, profile) }),
    "v4_work": GoldenRule(
      ours: work,
      defect: { _, output in
        output.isError ? "the original raises: an answer that is no answer has no work" : nil
      }),
    "v4_result_accounting": GoldenRule(
      ours: accounting, theirs: { $0.only("total", "consumed", "r429", "r500") }),
    "v4_period_score": GoldenRule(
      ours: { .object(["period_score": optional(score($0))]) }, theirs: { $0.only("period_score") },
      defect: { input, _ in nonFinite(input) }),
    "v4_speed_modifier_unit": GoldenRule(ours: { input in
      let model = SpeedModel(
        mean: input["mean"]!.real!, variance: input["variance"]!.real!, overheadSeconds: 0)
      return .number(ScoringProfile.speedFactor(perUnit: input["time_per_unit"]!.real!, model: model))
    }),
    "v4_speed_modifier": GoldenRule(
      ours: speed,
      defect: { _, output in
        output.isError ? "the original divides by zero steps: no work, no speed" : nil
      }),
    "v4_combined_quality": GoldenRule(
      ours: { input in
        let rows = input["rewards_quality_speed"]!.elements.map(row)
        return .number(profile.qualities(shape: .chat, rows: [rows])[0].combined)
      }, defect: { input, _ in unusualRows(input["rewards_quality_speed"]!) }),
    "v4_reward_selection": GoldenRule(
      ours: { selection($0, profile, ageUnit: 3_600_000, "age_hours") },
      defect: { _, _ in "the original counts rows twice, mixes in other tasks and never applies its window" }),
    "v4_normalised_period_score": GoldenRule(
      ours: { input in
        .number(profile.history(history(input["history_newest_first_score_consumed"]!)).normalised)
      }, defect: { input, _ in unusualHistory(input["history_newest_first_score_consumed"]!) }),
    "v4_nonlinear": GoldenRule(
      ours: { shares($0, profile) },
      defect: { input, output in
        output.isError ? "the original divides by a zero sum" : nonFinite(input)
      }),
    "v4_weights_pipeline": GoldenRule(
      ours: pipeline, theirs: { $0.only("scores", "per_task") },
      defect: { input, _ in
        let rows = input["rewards"]!.members.values.flatMap(\.members.values)
        return rows.lazy.compactMap(unusualRows).first
      }),
  ]

  static func optional(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }

  static func nonFinite(_ json: JSON) -> String? {
    json.holdsNonFinite ? "a figure that is not finite counts as none, and touches nobody else" : nil
  }

  /// The shipped vision.json's tasks, by name.
  static let tasks = GoldenFile.tasks(of: "vision.json")

  static func task(_ input: JSON) -> JSON {
    guard let task = tasks[input.text!], let speed = task.speed else { return .null }
    return .object([
      "type": .string(task.kind == .embeddings ? "clip" : task.kind.rawValue), "stream": .bool(task.streams),
      "weight": .number(task.weight), "max_capacity": .number(task.maxCapacity),
      "volume_to_requests_conversion": .number(task.volumePerRequest), "mean": .number(speed.mean),
      "variance": .number(speed.variance), "overhead": .number(speed.overheadSeconds),
    ])
  }

  static func capacities(_ input: JSON) -> JSON {
    func all(_ share: Double) -> JSON {
      var capacities: [String: JSON] = [:]
      for (task, claims) in input["capacities"]!.members {
        let cap = tasks[task]!.maxCapacity
        capacities[task] = .object(
          claims.members.mapValues { claim in
            .number(
              profile.capacity(
                claim: claim.real!, maxCapacity: cap, stakeShare: share, periodSeconds: 3600))
          })
      }
      return .object(capacities)
    }
    return .object(["after_cap_posted": all(1), "after_stake": all(input["stake_proportion"]!.real!)])
  }

  static func negativeClaims(_ input: JSON, _: JSON) -> String? {
    let claims = input["capacities"]!.members.values.flatMap(\.members.values)
    return claims.contains { $0.real! < 0 } ? "the original keeps a negative claim: it counts as 0" : nil
  }

  static func testedShare(_ input: JSON, _ profile: ScoringProfile) -> JSON {
    let uniforms = input["uniforms"]!.elements.map { $0.real! }
    var used = 0
    let share = profile.testedShare {
      used += 1
      return uniforms[used - 1]
    }
    let capacity = input["capacity"]?.real ?? 1
    return .object([
      "value": .number(share * capacity * (input["multiplier"]?.real ?? 1)), "uniforms_used": .integer(used),
    ])
  }

  /// The answer's content: a JSON text, or already parsed.
  static func content(_ input: JSON) -> JSON? {
    let content = input["formatted_response"] ?? .null
    if let text = content.text { return try? JSON(parsing: Data(text.utf8)) }
    return content == .null ? nil : content
  }

  /// Characters, steps or embeddings of a recorded answer; nil without an answer.
  static func units(_ input: JSON) -> (TaskKind, Int?) {
    let content = content(input["result"]!)
    switch input["task"]!.text! {
    case let task where task.hasPrefix("chat"):
      guard let chunks = content?.elements, chunks.allSatisfy({ $0["logprob"] != nil }) else {
        return (.text, nil)
      }
      return (.text, chunks.reduce(0) { $0 + ($1["text"]?.text?.unicodeScalars.count ?? 0) })
    case "clip-image-embeddings": return (.embeddings, content?["clip_embeddings"]?.elements.count)
    default: return (.image, input["synapse"]?["steps"]?.int ?? 1)
    }
  }

  static func work(_ input: JSON) -> JSON {
    let (kind, units) = units(input)
    return .number(Double(Work.milli(of: kind, units: units)) / 1000)
  }

  static func speed(_ input: JSON) -> JSON {
    let model = tasks[input["task"]!.text!]!.speed!
    let (kind, units) = units(input)
    let seconds = units == nil ? nil : input["result"]!["response_time"]?.real
    return .number(profile.speedFactor(kind: kind, units: units ?? 0, seconds: seconds, model: model))
  }

  /// What the workers make of a status; here only to feed the counters.
  static func outcome(_ input: JSON) -> Outcome {
    switch input["status_code"]?.int {
    case 200 where input["success"]!.flag!: return .ok
    case 429: return .rateLimited
    case .some(500...): return .serverError
    case .some(400...): return .refused
    default: return .malformed
    }
  }

  static func accounting(_ input: JSON) -> JSON {
    var counters = PeriodCounters()
    counters.count(outcome(input), workMilli: Work.milli(of: .text, units: input["characters"]!.int))
    return .object([
      "total": .integer(counters.total), "consumed": .number(Double(counters.workMilli) / 1000),
      "r429": .integer(counters.rateLimits), "r500": .integer(counters.failures),
    ])
  }

  static func score(_ input: JSON, _ profile: ScoringProfile = profile) -> Double? {
    profile.periodScore(
      total: input["total_requests_made"]!.int!, rateLimits: input["requests_429"]!.int!,
      failures: input["requests_500"]!.int!,
      capacity: (input["declared_volume"] ?? input["capacity"])!.real!,
      volume: (input["consumed_volume"] ?? input["consumed_capacity"])!.real!)
  }

  static func row(_ json: JSON) -> QualityRow {
    QualityRow(quality: json[0]!.real!, speed: json[1]!.real)
  }

  static func history(_ json: JSON) -> [HistoryRecord] {
    json.elements.map { HistoryRecord(score: $0[0]!.real, volume: $0[1]!.real!) }
  }

  static func unusualRows(_ rows: JSON) -> String? {
    if let reason = nonFinite(rows) { return reason }
    if rows.elements.contains(where: { $0[1] == .null }) { return "a row without speed is no verdict" }
    let outside = rows.elements.contains { !(0...1).contains($0[0]!.real!) }
    return outside ? "a verdict outside 0 to 1 is clamped" : nil
  }

  static func unusualHistory(_ records: JSON) -> String? {
    if let reason = nonFinite(records) { return reason }
    return records.elements.contains { $0[1]!.real! < 0 } ? "a negative volume does not count" : nil
  }

  static func selection(_ input: JSON, _ profile: ScoringProfile, ageUnit: Double, _ age: String) -> JSON {
    let rows = input["rows"]!.elements.filter {
      $0["task"] == input["task"] && $0["hotkey"] == input["hotkey"]
    }.sorted { $0[age]!.real! < $1[age]!.real! }
    let count = profile.rowsThatCount(
      times: rows.map { -Int($0[age]!.real! * ageUnit) }, anchorMilliseconds: 0)
    return .array(rows.prefix(count).map { $0["id"]! })
  }

  static func shares(_ input: JSON, _ profile: ScoringProfile) -> JSON {
    let members = input.sortedMembers
    let shares = profile.shares(effectiveVolumes: members.map { $0.value.real! })
    return .object(
      Dictionary(uniqueKeysWithValues: zip(members, shares).map { ($0.key, JSON.number($1)) }))
  }

  static func pipeline(_ input: JSON) throws -> JSON {
    let subnet = try SubnetInput(input, profile: .vision, order: JSON.KeyOrder())
    return SubnetScores(subnet).output.only("scores", "per_task")
  }
}
