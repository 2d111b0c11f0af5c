import Aggregator
import Common
import Foundation
import Producer
import TestSupport
import Testing
import Workers

@testable import Simulator
@testable import Vision

@Suite("The operator's program", .timeLimit(.minutes(2)))
struct VisionCommandTests {
  @Test("knows its commands, and guesses what was meant")
  @IO func commands() async throws {
    let help = try await CommandBench.program.run(["--help"])
    #expect(help.code == 0)
    for entry in VisionCommand.entries { #expect(help.output.contains("\n  \(entry.name) ")) }
    #expect(try await CommandBench.program.run([]).code == 2)
    let near = try await CommandBench.program.run(["statsu"])
    #expect(near.code == 2)
    #expect(near.errors == "vision: unknown command 'statsu'; did you mean status?\n")
    let far = try await CommandBench.program.run(["x\u{1b}[31m"])
    #expect(far.code == 2)
    #expect(far.errors.hasPrefix("vision: unknown command 'x[31m'; the commands are demo, status, "))
  }

  @Test("refuses unknown flags, wrong values and too many words with 2 and one line")
  @IO func flags() async throws {
    let flag = try await CommandBench.program.run(["status", "--jsno"])
    #expect(flag.code == 2)
    #expect(
      flag.errors
        == "vision status: unknown flag --jsno; did you mean --json? (vision status --help lists all)\n")
    let value = try await CommandBench.program.run(["dead", "--limit", "0"])
    #expect(value.code == 2)
    #expect(value.errors == "vision dead: --limit 0: must be a whole number from 1 to 10000\n")
    let word = try await CommandBench.program.run(["fsck", "everything"])
    #expect(word.code == 2)
    #expect(word.errors == "vision fsck: unexpected argument \"everything\"\n")
    let address = try await CommandBench.program.run(["fsck", "--redis-url", "redis://localhost/one"])
    #expect(address.code == 2)
    #expect(address.errors.hasPrefix("vision fsck: the Redis database 'one' is not a number"))
  }

  @Test("says in one line that Redis is not there, and ends with 3")
  @IO func away() async throws {
    let flags = ["--redis-url", "unix:///nowhere/redis.sock"]
    async let status = CommandBench.program.run(["status"] + flags)
    async let pause = CommandBench.program.run(["pause", "organic"] + flags)
    async let fsck = CommandBench.program.run(["fsck"] + flags)
    for (name, outcome) in [
      ("status", try await status), ("pause", try await pause), ("fsck", try await fsck),
    ] {
      #expect(outcome.code == 3)
      #expect(outcome.output == "")
      #expect(outcome.errors.hasPrefix("vision \(name): Redis at unix:///nowhere/redis.sock: "))
      #expect(outcome.errors.split(separator: "\n").count == 1)
    }
  }

  @Test("every program refuses a Redis that evicts keys with 3, and minds no setting of another program")
  @IO func unfit() async throws {
    let redis = try PrivateRedis()
    try await redis.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
    let roster = FileManager.default.temporaryDirectory.path + "/roster-\(UUID().uuidString).json"
    try Data("{\"version\": 1, \"validator_hotkey\": \"v\", \"miners\": []}".utf8).write(
      to: URL(filePath: roster))
    defer { try? FileManager.default.removeItem(atPath: roster) }
    let variables = [
      "VISION_REDIS_URL": redis.url, "VISION_ROSTER_FILE": roster, "VISION_SLOTS": "10",
      "VISION_WEIGHTS_FILE": "/dev/null", "VISION_TASK": "chat", "VISION_CONFIG": Project.file("vision.json"),
    ]
    for name in ["vision-producer", "vision-workers", "vision-aggregator"] {
      let outcome = try await BuiltProgram(name).run([], adding: variables)
      #expect(outcome.code == 3, "\(name): \(outcome.errors)")
      #expect(
        outcome.errors.split(separator: "\n").last?.hasPrefix("\(name): Redis's maxmemory-policy") == true)
    }
    let status = try await CommandBench.program.run(["status"], adding: variables)
    #expect(status.code == 0, "\(status.errors)")
    #expect(status.output.contains("WARNING   Redis's maxmemory-policy is allkeys-lru"))
    await redis.stop()
  }

  @Test("the shared list of settings holds every program's and no other")
  func settings() {
    var names: Set<String> = []
    names.formUnion(ProducerProgram.table.settings.map(\.name))
    names.formUnion((CommonSettings.service + WorkerSettings.own).map(\.name))
    names.formUnion((CommonSettings.service + AggregatorOptions.settings).map(\.name))
    for role in SimulatorRole.allCases { names.formUnion(role.table.settings.map(\.name)) }
    for entry in VisionCommand.entries { names.formUnion(entry.settings.map(\.name)) }
    #expect(
      names.subtracting(KnownSettings.names).sorted() == [], "missing in Common/Process/KnownSettings.swift")
    #expect(
      KnownSettings.names.subtracting(names).sorted() == [], "in KnownSettings.swift, and no program's")
  }

  @Test("a setting of this program is not taken for another's")
  func own() throws {
    let table = VisionCommand.table(of: StatusCommand.entry)
    let request = try table.parse(
      arguments: [], environment: ["VISION_JSON": "true", "VISION_ROSTER_FILE": "x"],
      readFile: SettingsFile.read)
    guard case .run(let settings) = request else {
      Issue.record("asked for help")
      return
    }
    #expect(settings.bool("json"))
  }
}
