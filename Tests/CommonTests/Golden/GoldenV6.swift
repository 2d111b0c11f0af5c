import Foundation

@testable import Common

/// The recorded behaviour of `rayonlabs/nineteen`, version 6.
enum GoldenV6 {
  static let profile = ScoringProfile.nineteen

  static let rules: [String: GoldenRule] = [
    "v6_tasks": GoldenRule(ours: task, theirs: comparedTask),
    "v6_capacity_to_score": GoldenRule(ours: { GoldenV4.testedShare($0, profile) }),
    "v6_contenders_from_capacities": GoldenRule(
      ours: contenders, theirs: sorted,
      defect: { input, output in
        output.isError ? "the original drops every miner: only this answer counts as 0" : nonFinite(input)
      }),
    "v6_schedule_init": GoldenRule(ours: planned, theirs: { $0.only("total_requests") }),
    "v6_work": GoldenRule(
      ours: work,
      defect: { _, output in
        output.isError ? "the original raises: an answer that is no answer has no work" : nil
      }),
    "v6_result_accounting": GoldenRule(
      ours: accounting, theirs: { .array($0.elements.filter { $0[0]!.text != "offered_to_store" }) },
      defect: { input, _ in
        input["task"]!.text == "unknown" ? "the fold ignores tasks that its period does not have" : nil
      }),
    "v6_period_score": GoldenRule(
      ours: { GoldenV4.optional(GoldenV4.score($0, profile)) }, defect: { input, _ in nonFinite(input) }),
    "v6_period_rollover": GoldenRule(ours: rollover, theirs: { $0.only("history") }),
    "v6_metric": GoldenRule(ours: metric, theirs: comparedMetric, defect: unusualMetric),
    "v6_metric_percentile": GoldenRule(
      ours: { GoldenV4.optional(ScoringProfile.metricScore($0.elements.map { $0.real! })) },
      defect: { _, output in output.isError ? "the original raises without values: no score" : nil }),
    "v6_metric_bonus": GoldenRule(
      ours: { input in
        bonuses(input["metric_scores_ordered"]!.elements, ScoringProfile.metricBonuses)
      }, reproduced: { bonuses($0["metric_scores_ordered"]!.elements, bonusesByOrder) },
      defect: { input, _ in
        let scores = input["metric_scores_ordered"]!.elements.map { $0[1]!.real! }
        return Set(scores).count < scores.count ? ties : nil
      }),
    "v6_combined_quality": GoldenRule(
      ours: { quality($0, ScoringProfile.metricBonuses) }, theirs: comparedQuality,
      reproduced: { input in
        let rows = input["rewards_hotkey_quality_metric_stream"]!
        return unusual(rows: rows) == ties ? quality(input, bonusesByOrder) : nil
      },
      defect: { input, _ in unusual(rows: input["rewards_hotkey_quality_metric_stream"]!) }),
    "v6_reward_selection": GoldenRule(
      ours: { GoldenV4.selection($0, profile, ageUnit: 1000, "age_s") },
      defect: { _, _ in fill }),
    "v6_normalised_period_score": GoldenRule(
      ours: { input in
        let records = GoldenV4.history(input["history_newest_first_score_consumed"]!)
        let history = profile.history(records)
        return .object([
          "normalised_period_score": .number(history.normalised),
          "period_score_multiplier": .number(history.multiplier),
        ])
      }, defect: { input, _ in GoldenV4.unusualHistory(input["history_newest_first_score_consumed"]!) }),
    "v6_nonlinear": GoldenRule(
      ours: nonlinear,
      defect: { input, _ in
        let negative = input.members.values.contains { $0.real! < 0 }
        return negative ? "a negative volume counts as 0" : nonFinite(input)
      }),
    "v6_weights_pipeline": GoldenRule(
      ours: { try GoldenV6Pipeline.recorded($0, ScoringProfile.metricBonuses).result },
      theirs: { GoldenV6Pipeline.compared($0, hotkey: "miner_hotkey") },
      reproduced: { input in
        let run = try GoldenV6Pipeline.recorded(input, bonusesByOrder)
        return run.raises || run.defect != ties ? nil : run.result
      },
      defect: { input, output in
        if output.isError { return "the original raises: a figure that is missing or zero is no error" }
        return try GoldenV6Pipeline.recorded(input, bonusesByOrder).defect
      }),
    "v6_weights_pipeline_sql": GoldenRule(
      tolerance: 1e-9, ours: { GoldenV6Pipeline.fromTables($0, filled: false).result },
      theirs: { GoldenV6Pipeline.compared($0, hotkey: "node_hotkey") },
      reproduced: { GoldenV6Pipeline.fromTables($0, filled: true).result }, defect: { _, _ in fill }),
  ]

  static let ties = "miners with equal speed share the mean of their ranks; the original went by order"
  static let fill = "the original counts a task's rows twice and mixes in other tasks' rows"

  static func nonFinite(_ json: JSON) -> String? { GoldenV4.nonFinite(json) }

  /// The shipped examples/nineteen.json's tasks, by name.
  static let tasks = GoldenFile.tasks(of: "examples/nineteen.json")

  static func task(_ input: JSON) -> JSON {
    guard let task = tasks[input.text!] else { return .null }
    let timeout = task.timeouts.firstContentMilliseconds
    var fields: [String: JSON] = [
      "task_type": .string(task.kind.rawValue), "endpoint": .string(task.path), "stream": .bool(task.streams),
      "weight_normalised": .number(task.weight), "max_capacity": .number(task.maxCapacity),
      "volume_to_requests_conversion": .number(task.volumePerRequest),
      "timeout": .number(Double(timeout) / 1000), "checking_function": task.checking!["checking_function"]!,
    ]
    // The original leaves the steps of avatars open.
    if let steps = task.steps, task.shape != .avatar {
      fields["min_steps"] = .integer(steps[0])
      fields["max_steps"] = .integer(steps[1])
    }
    return .object(fields)
  }

  static func comparedTask(_ output: JSON) -> JSON {
    let kept = output.only(
      "task_type", "endpoint", "stream", "weight_normalised", "max_capacity", "timeout",
      "volume_to_requests_conversion", "checking_function", "min_steps", "max_steps")
    return .object(kept.members.filter { $0.value != .null })
  }

  static func contenders(_ input: JSON) -> JSON {
    var found: [JSON] = []
    for (index, answer) in input["responses"]!.elements.enumerated() {
      let answer = JSON.object(answer.members.mapValues { $0.real.map(JSON.number) ?? $0 })
      let ordered = tasks.values.sorted { $0.name < $1.name }
      let claims = profile.claims(in: answer, tasks: ordered) ?? ordered.map { _ in 0 }
      for (task, claim) in zip(ordered, claims) where claim > 0 {
        let capacity = profile.capacity(claim: claim, maxCapacity: task.maxCapacity, periodSeconds: 1800)
        let share = profile.testedShare { input["uniform_each_draw"]!.real! }
        found.append(
          .object([
            "hotkey": .string("hk\(index)"), "task": .string(task.name), "raw_capacity": .number(claim),
            "capacity": .number(capacity), "capacity_to_score": .number(capacity * share),
          ]))
      }
    }
    return sorted(.array(found))
  }

  static func sorted(_ output: JSON) -> JSON {
    guard !output.isError else { return output }
    func key(_ json: JSON) -> String { "\(json["hotkey"]!.text!) \(json["task"]!.text!)" }
    return .array(output.elements.sorted { key($0) < key($1) })
  }

  static func planned(_ input: JSON) -> JSON {
    let multiplier = input["multiplier"]!.real!
    let counts = profile.queryCounts(
      testVolumes: input["capacity_to_score"]!.elements.map { $0.real! * multiplier },
      volumePerRequest: tasks[input["task"]!.text!]!.volumePerRequest)
    return .object(["total_requests": .integer(counts.reduce(0, +))])
  }

  static func work(_ input: JSON) -> JSON { .number(Double(workMilli(input)) / 1000) }

  static func workMilli(_ input: JSON) -> Int {
    guard input["task_type"]?.text == "text" else {
      return Work.milli(of: .image, units: input["steps"]?.int)
    }
    guard let chunks = GoldenV4.content(input)?.elements,
      chunks.allSatisfy({ $0["choices"]?.elements.isEmpty != true })
    else { return Work.milli(of: .text, units: nil) }
    let characters = chunks.reduce(0) { sum, chunk in
      let choice = chunk["choices"]?[0]
      let text = choice?["delta"]?["content"]?.text ?? choice?["text"]?.text
      return sum + (text?.unicodeScalars.count ?? 0)
    }
    return Work.milli(of: .text, units: characters)
  }

  static func accounting(_ input: JSON) -> JSON {
    guard let task = tasks[input["task"]!.text!] else { return .null }
    var counters = PeriodCounters()
    let units = task.kind == .text ? 8 : input["steps"]?.int
    counters.count(GoldenV4.outcome(input), workMilli: Work.milli(of: task.kind, units: units))
    let moved: [(String, Double)] = [
      ("consumed", Double(counters.workMilli) / 1000), ("429", Double(counters.rateLimits)),
      ("500", Double(counters.failures)),
    ]
    return .array(moved.filter { $0.1 > 0 }.map { .array([.string($0.0), .number($0.1)]) })
  }

  static func rollover(_ input: JSON) -> JSON {
    let rows = input["contenders"]!.elements.map { row in
      JSON.array([
        .string("\(row["hotkey"]!.text!)-\(row["task"]!.text!)"), row["total"]!, row["consumed"]!,
        GoldenV4.optional(
          profile.periodScore(
            total: row["total"]!.int!, rateLimits: row["r429"]!.int!, failures: row["r500"]!.int!,
            capacity: row["capacity"]!.real!, volume: row["consumed"]!.real!)),
      ])
    }
    return .object(["history": .array(rows)])
  }

  static func nonlinear(_ input: JSON) -> JSON {
    // The original gives nothing at all where we give zeros.
    let shares = GoldenV4.shares(input, profile)
    return shares.members.values.allSatisfy { $0.real == 0 } ? .object([:]) : shares
  }
}
