import TestSupport

@testable import Common

extension QueueModelRun {
  func performSharing(_ operation: QueueOperation, isRepeat: Bool) async throws {
    switch operation {
    case .memory(let isShort):
      model.isShort = isShort
      _ = try await queue.redis.send("SET", queue.keys.fixed(.testMemory), isShort ? "0.9" : "0.5")
    case .status(let number): try await status("o\(number)")
    case .route(let number, let tasks, let isTold): try await route(worker(number), tasks, isTold)
    case .leadFold(let number, let isKept):
      let held = try await aggregators.lead(
        role: "aggregator", token: "aggregator-\(number)", lifeMilliseconds: isKept ? 600_000 : 0)
      try expect(held, model.leadFold("aggregator-\(number)", isKept: isKept))
    case .checkpoint(let number, let ahead, let publishes):
      try await checkpoint("aggregator-\(number)", ahead, publishes, isRepeat: isRepeat)
    default: break
    }
  }

  private func status(_ id: String) async throws {
    let found = try await operators.status(id: id)
    let text = found.map { state, fields in
      [state, fields["ahead"] ?? "", fields["attempts"] ?? "", fields["bytes"] ?? ""].joined(separator: " ")
    }
    try expect(text, model.status(id))
  }

  private func route(_ worker: String, _ tasks: Int, _ isTold: Bool) async throws {
    let names = ReferenceQueue.tasks.enumerated().filter { tasks & (1 << $0.offset) != 0 }.map(\.element)
    let report = isTold ? "\(worker) knows" : ""
    let news = try await workers.exchangeRoutes(
      worker: worker, lifeMilliseconds: ReferenceQueue.reportLife,
      names.map { RouteNotice(task: $0, report: Array(report.utf8), verdictsKnown: "") })
    for (task, found) in zip(names, news) {
      let expected = model.route(worker: worker, task: task, report: report)
      let reports = found.reports.map { "\($0.ageMilliseconds) \(String(decoding: $0.bytes, as: UTF8.self))" }
      try expect(reports.sorted(), expected.reports)
      try expect(found.means.map { "\($0.hotkey) \($0.verdicts)" }.sorted(), expected.verdicts)
      try expect(found.means.allSatisfy { $0.mean == 0.75 }, true)
    }
  }

  private func checkpoint(_ token: String, _ ahead: Int, _ publishes: Int, isRepeat: Bool) async throws {
    if !isRepeat {
      checkpoints += 1
      let result = publishes == 0 ? nil : "r\(checkpoints)"
      checkpoint = (ahead == 0 ? model.cursor : "9-9", "\(checkpoints)-1", result)
    }
    let publication = checkpoint.result.map { result in
      JobQueue.Publication(
        weights: publishes == 1 ? ["hk0", result] : nil, about: ["period", "1"], result: result,
        keep: ReferenceQueue.resultsKept)
    }
    let result = try await aggregators.checkpoint(
      leader: token, from: checkpoint.from, to: checkpoint.to, state: [1], publication: publication)
    try expect(
      result,
      model.checkpoint(token, from: checkpoint.from, to: checkpoint.to, result: checkpoint.result))
  }
}
