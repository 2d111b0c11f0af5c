import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Vision

@Suite("The status report", .timeLimit(.minutes(1)))
struct StatusReportTests {
  private func report() -> StatusReport {
    var report = StatusReport()
    report.nowMilliseconds = 1_700_000_100_000
    report.organicsWaiting = 3
    report.synthetics = (due: 5, delayed: 700)
    report.running = 11
    report.dead = 2
    report.ledgerLength = 9_000
    report.paused = ["check", "intake"]
    let record = PeriodRecord(
      state: "open", startMilliseconds: 1_700_000_000_000, endMilliseconds: 1_700_000_160_000, planned: 800,
      scheduled: 600, nextChunk: 6, settled: ["done": 90, "failed": 4])
    report.periods = [.init(id: PeriodID(startSeconds: 1_700_000_000), record: record)]
    report.workers = [
      .init(id: "w1", fields: ["role": "query", "slots": "200"], beatAgeMilliseconds: 400),
      .init(id: "w2", fields: ["role": "query", "claim_age_ms": "15000"], beatAgeMilliseconds: 1),
    ]
    report.leaders = ["producer": "0123456789abcdef"]
    report.checks = ["waiting:chat": "7", "waiting:image": "1", "judged": "40"]
    report.verdicts = ["chat|hk0": "12", "chat|hk1": "8", "image|hk0": "1"]
    report.weightsMeta = ["v": "1", "period": "1699996400", "outcome": "set"]
    report.weightsCount = 24
    report.take(
      RedisCheck(info: "redis_version:7.0.15\nrole:master\nmaxmemory:0\n", clockSkewMilliseconds: 3))
    return report
  }

  @Test("shows people every part of the pipeline, and what is wrong with it")
  func text() {
    let text = report().text
    for part in [
      "organics waiting 3 · synthetics due 5, delayed 700 · running 11 · dead 2 · ledger 9000 entries",
      "paused    check, intake",
      "1700000000 open · planned 800, scheduled 600 · done 90, failed 4, skipped 0",
      "ends in 60 s", "held (01234567…)", "nobody holds the role", "w1 query · healthy · slots 200",
      "w2 query · UNHEALTHY", "waiting 8 · judged 40, unjudged 0", "chat: 20 for 2 miners",
      "image: 1 for 1 miners", "24 miners · outcome set · period 1699996400", "redis_version 7.0.15",
      "WARNING   Redis's maxmemory-policy is unknown", "WARNING   appendonly is off",
    ] {
      #expect(text.contains(part), "\(part) is missing in:\n\(text)")
    }
  }

  @Test("says that there is nothing yet, rather than nothing")
  func empty() {
    let text = StatusReport().text
    for part in ["period    none is open", "workers   none is alive", "none were computed yet"] {
      #expect(text.contains(part))
    }
    #expect(!text.contains("paused"))
  }

  @Test("tells programs the same as one JSON object")
  func json() throws {
    let json = try JSON(parsing: Data(report().json.canonicalText().utf8))
    #expect(json["version"]?.int == 1)
    #expect(json["queue"]?["organics_waiting"]?.int == 3)
    #expect(json["queue"]?["synthetics_due"]?.int == 5)
    #expect(json["queue"]?["synthetics_delayed"]?.int == 700)
    #expect(json["periods"]?[0]?["settled"]?["done"]?.int == 90)
    #expect(json["periods"]?[0]?["end_ms"]?.int == 1_700_000_160_000)
    #expect(json["paused"] == .array([.string("check"), .string("intake")]))
    #expect(json["workers"]?[0]?["healthy"] == .bool(true))
    #expect(json["workers"]?[1]?["healthy"] == .bool(false))
    #expect(json["leaders"]?["producer"]?.text == "0123456789abcdef")
    #expect(json["verdicts"]?["chat|hk1"]?.text == "8")
    #expect(json["redis"]?["clock_skew_ms"]?.text == "3")
    #expect(json["redis_problems"]?[0]?.text?.contains("maxmemory-policy") == true)
  }

  @Test("is read from Redis as it is: the command's JSON agrees with the queue")
  @IO func command() async throws {
    try await CommandBench.with { at in
      let bench = at.bench
      try await bench.submit("a", "b", "c")
      let snapshot = try await bench.plan(counts: [[2]], lengthMilliseconds: 600_000)
      #expect(try await bench.claim("w1", organics: 1, synthetics: 0).grants.count == 1)
      _ = try await at.queue.renew(
        worker: "w1", lifeMilliseconds: 60_000, record: ["role", "query", "claim_age_ms", "10"], jobs: [])
      _ = try await at.queue.pause("check", true)
      let outcome = try await at.vision("status", "--json")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let json = try JSON(parsing: Data(outcome.output.utf8))
      #expect(json["queue"]?["organics_waiting"]?.int == 2)
      #expect(json["queue"]?["running"]?.int == 1)
      #expect(json["queue"]?["synthetics_due"]?.int == 1)
      #expect(json["queue"]?["synthetics_delayed"]?.int == 1)
      #expect(json["paused"]?[0]?.text == "check")
      #expect(json["periods"]?[0]?["id"]?.int == snapshot.id.startSeconds)
      #expect(json["periods"]?[0]?["planned"]?.int == 2)
      #expect(json["leaders"]?["producer"]?.text == "p")
      #expect(json["workers"]?[0]?["id"]?.text == "w1")
      #expect(json["redis_problems"] == .array([]))
      let text = try await at.vision("status")
      #expect(text.output.contains("organics waiting 2 · synthetics due 1, delayed 1 · running 1"))
    }
  }
}
