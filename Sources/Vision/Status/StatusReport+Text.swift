import Common
import Foundation

extension StatusReport {
  /// The report for people.
  var text: String {
    var lines: [String] = []
    lines.append(
      "queue     organics waiting \(organicsWaiting) · synthetics due \(synthetics.due), delayed "
        + "\(synthetics.delayed) · running \(running) · dead \(dead) · ledger \(ledgerLength) entries")
    if !paused.isEmpty { lines.append("paused    \(paused.joined(separator: ", "))") }
    for period in periods { lines.append("period    \(line(of: period))") }
    if periods.isEmpty { lines.append("period    none is open") }
    for role in ["producer", "aggregator"] {
      let holder = leaders[role].map { "held (\($0.prefix(8))…)" } ?? "nobody holds the role"
      lines.append(role.padding(toLength: 10, withPad: " ", startingAt: 0) + " " + holder)
    }
    lines += workers.map { "worker    \(line(of: $0))" }
    if workers.isEmpty { lines.append("workers   none is alive") }
    lines.append("checks    \(checksLine)")
    lines += coverageLines
    lines.append("weights   \(weightsLine)")
    lines.append("redis     \(redisLine)")
    lines += redisProblems.map { "WARNING   \($0)" }
    return lines.joined(separator: "\n")
  }

  private func line(of period: Period) -> String {
    let record = period.record
    let settled = PeriodRecord.settledNames.map { "\($0) \(record.settled[$0] ?? 0)" }
    let left = max(0, record.endMilliseconds - nowMilliseconds) / 1000
    return "\(period.id) \(record.state) · planned \(record.planned), scheduled \(record.scheduled) · "
      + settled.joined(separator: ", ") + " · ends in \(left) s"
  }

  private func line(of worker: Worker) -> String {
    let fields = worker.fields
    let health = worker.isHealthy ? "healthy" : "UNHEALTHY: no try to claim for more than 15 s"
    return "\(worker.id) \(fields["role"] ?? "-") · \(health) · slots \(fields["slots"] ?? "-"), organics "
      + "\(fields["organics"] ?? "-"), synthetics \(fields["synthetics"] ?? "-") · attempts "
      + "\(fields["attempts"] ?? "-") · beat \(worker.beatAgeMilliseconds) ms ago"
  }

  private var checksLine: String {
    let waiting = checks.filter { $0.key.hasPrefix("waiting:") }.values.compactMap { Int($0) }.reduce(0, +)
    let names = ["judged", "unjudged", "failed", "dropped", "bytes"]
    return "waiting \(waiting) · " + names.map { "\($0) \(checks[$0] ?? "0")" }.joined(separator: ", ")
  }

  /// For each task: miners with a verdict, and verdicts in all.
  private var coverageLines: [String] {
    var miners: [String: Int] = [:]
    var counts: [String: Int] = [:]
    for (name, value) in verdicts {
      let task = String(name.prefix { $0 != "|" })
      miners[task, default: 0] += 1
      counts[task, default: 0] += Int(value) ?? 0
    }
    return miners.keys.sorted().map { task in
      "verdicts  \(task): \(counts[task] ?? 0) for \(miners[task] ?? 0) miners"
    }
  }

  private var weightsLine: String {
    guard !weightsMeta.isEmpty else { return "none were computed yet" }
    let facts = weightsMeta.filter { $0.key != "v" }.sorted { $0.key < $1.key }
    return "\(weightsCount) miners · " + facts.map { "\($0.key) \($0.value)" }.joined(separator: " · ")
  }

  private var redisLine: String {
    redis.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: " · ")
  }

  /// The report for programs.
  var json: JSON {
    func strings(_ fields: [String: String]) -> JSON { .object(fields.mapValues { .string($0) }) }
    return .object([
      "version": .integer(1),
      "now_ms": .integer(nowMilliseconds),
      "queue": .object([
        "organics_waiting": .integer(organicsWaiting), "synthetics_due": .integer(synthetics.due),
        "synthetics_delayed": .integer(synthetics.delayed), "running": .integer(running),
        "dead": .integer(dead), "ledger_entries": .integer(ledgerLength),
      ]),
      "paused": .array(paused.map { .string($0) }),
      "periods": .array(
        periods.map { period in
          .object([
            "id": .integer(period.id.startSeconds), "state": .string(period.record.state),
            "planned": .integer(period.record.planned), "scheduled": .integer(period.record.scheduled),
            "start_ms": .integer(period.record.startMilliseconds),
            "end_ms": .integer(period.record.endMilliseconds),
            "settled": .object(period.record.settled.mapValues { .integer($0) }),
          ])
        }),
      "leaders": strings(leaders),
      "workers": .array(
        workers.map { worker in
          .object([
            "id": .string(worker.id), "healthy": .bool(worker.isHealthy),
            "beat_age_ms": .integer(worker.beatAgeMilliseconds), "record": strings(worker.fields),
          ])
        }),
      "checks": strings(checks), "verdicts": strings(verdicts), "weights": strings(weightsMeta),
      "weights_miners": .integer(weightsCount), "redis": strings(redis),
      "redis_problems": .array(redisProblems.map { .string($0) }),
    ])
  }
}
