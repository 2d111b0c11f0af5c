import Common
import Foundation
import TestSupport
import Testing

@testable import Vision

@Suite("The programs in adversity", .timeLimit(.minutes(2)))
struct AdversityTests {
  @Test(
    "a producer refuses a wrong task table in one line that names the task and the field, with 2",
    arguments: [
      ("weight", JSON.number(0.4), "tasks: weights must sum to 1, but sum to 0.9"),
      ("weight", .string("half"), #"task "chat-mixtral": weight: must be"#),
      ("wieght", .number(0.5), #"task "chat-mixtral": wieght: "#),
      ("max_capacity", .number(-1), #"task "chat-mixtral": max_capacity: must be"#),
    ])
  @IO func wrongTable(field: String, value: JSON, problem: String) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/table-\(UUID().uuidString).json"
    try Self.table { $0[field] = value }.write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let outcome = try await BuiltProgram("vision-producer").run(
      ["--config", path, "--roster-file", "/nowhere/roster.json"])
    #expect(outcome.code == 2 && outcome.output == "")
    #expect(outcome.errors.split(separator: "\n").count == 1)
    #expect(outcome.errors.hasPrefix("vision-producer: \(path): \(problem)"), "\(outcome.errors)")
  }

  /// The short table with its first task changed.
  private static func table(_ change: (inout [String: JSON]) -> Void) throws -> Data {
    guard case .object(var members) = try JSON(parsing: ShortTable.data()),
      case .array(var tasks)? = members["tasks"], case .object(var first) = tasks[0]
    else { throw DemoFailure("the short table is no object") }
    change(&first)
    tasks[0] = .object(first)
    members["tasks"] = .array(tasks)
    return Data(JSON.object(members).canonicalText().utf8)
  }

  @Test(
    "no miners, dead ones, a wrong roster and a wrong table are said and waited out; nothing sets no weights")
  @IO func waitedOut() async throws {
    try await PipelineBench.run { bench in
      let roster = URL(filePath: bench.file("roster.json"))
      let table = URL(filePath: bench.file("config.json"))
      let dead = #"{"hotkey":"5A","uid":1,"address":"http://127.0.0.1:1"}"#
      try Data(Self.roster(dead).utf8).write(to: roster)
      let weights = bench.file("weights.json")
      let programs = [
        try bench.start("aggregator", "vision-aggregator", ["--weights-file", weights]),
        try bench.work("worker"), try bench.produce(periodSeconds: 10),
      ]
      @IO func says(_ line: String, _ name: String = "producer") async throws {
        try await bench.until { bench.log(name).contains(line) }
        let dead = programs.filter { $0.status != nil }
        #expect(dead.isEmpty)
      }
      try await says("no period: no miner stated its capacities")
      try Data("{".utf8).write(to: roster)
      try await says("wrong roster: the last good one stays")
      try Data(Self.roster("").utf8).write(to: roster)
      try Self.table { $0["weight"] = .number(0.4) }.write(to: table)
      try await says("no period: the roster is empty")
      try await says("wrong configuration: the last good one stays")
      let miners = try Self.serve(bench, "miners-1")
      let period = try await bench.period()
      #expect(period.plannedCount > 0)
      // All miners go down in mid-period.
      await miners.terminate(graceMilliseconds: 0)
      try await says("no weights are set, the ones before stay", "aggregator")
      let results = bench.queue.keys
      #expect(try await bench.queue.redis.send("EXISTS", results.fixed(.weights)).int == 0)
      let meta = try await bench.queue.redis.send("HGETALL", results.fixed(.weightsMeta)).fields ?? [:]
      #expect(meta["period"] == period.id.description && meta["nothing_set"]?.isEmpty == false, "\(meta)")
      #expect(!FileManager.default.fileExists(atPath: weights))
      // They come back, and so does the pipeline.
      try ShortTable.data().write(to: table)
      _ = try Self.serve(bench, "miners-2")
      try await bench.until {
        try await bench.ledger().contains { entry in
          if case .attempt(let attempt) = entry {
            attempt.period != period.id && attempt.outcome == .ok
          } else {
            false
          }
        }
      }
      try await says("period opened")
    }
  }

  private static func roster(_ miners: String) -> String {
    #"{"version":1,"validator_hotkey":"5V","miners":[\#(miners)]}"#
  }

  /// Serves three miners, which the roster then names. Their table is the good one.
  @IO private static func serve(_ bench: PipelineBench, _ name: String) throws -> ChildProcess {
    try ShortTable.data().write(to: URL(filePath: bench.file("miners.json")))
    return try bench.start(
      name, "vision-simulator",
      [
        "miners", "--miners", "3", "--behaviours", "honest", "--roster", bench.file("roster.json"),
        "--config",
        bench.file("miners.json"),
      ])
  }
}
