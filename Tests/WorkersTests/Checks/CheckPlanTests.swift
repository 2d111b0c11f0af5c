import Common
import Foundation
import Testing

@testable import Workers

@Suite("How checks are sent")
struct CheckPlanTests {
  static let entry = AttemptEntry(
    job: "j", kind: .synthetic, period: PeriodID(startSeconds: 1_700_000_000), task: "chat", hotkey: "5F\"x",
    outcome: .ok, status: 200, workMilli: 1, units: 4, firstContentMilliseconds: 320,
    totalMilliseconds: 1_730, settles: true)

  @Test("the body has every field that the server declares, and request and answer as they were")
  func body() throws {
    let sample = #"{"seed":42,"prompt":"a\nb"}"# + "\n" + #"[{"choices":[]},"# + "\n" + "{}]"
    let body = try #require(CheckBody(sample: Array(sample.utf8)))
    let bytes = body.json(
      server: #"{"server_needed":"llm_server"}"#, entry: Self.entry, nodeID: 12,
      createdMilliseconds: 1_736_510_400_123)
    let json = try JSON(parsing: Data(bytes))
    #expect(json["server_config"]?["server_needed"]?.text == "llm_server")
    #expect(json["payload"] == .object(["seed": .integer(42), "prompt": .string("a\nb")]))
    let expected: [String: JSON] = [
      "formatted_response": .array([.object(["choices": .array([])]), .object([:])]),
      "node_id": .integer(12), "node_hotkey": .string("5F\"x"), "response_time": .number(1.73),
      "stream_time": .number(1.41), "task": .string("chat"), "status_code": .integer(200),
      "success": .bool(true), "created_at": .string("2025-01-10T12:00:00.123000"),
    ]
    #expect(json["result"] == .object(expected))
    var silent = Self.entry
    silent.firstContentMilliseconds = nil
    let other = body.json(server: "{}", entry: silent, nodeID: 0, createdMilliseconds: 0)
    #expect(try JSON(parsing: Data(other))["result"]?["stream_time"] == .null)
  }

  @Test(
    "a sample without a request, or without an answer, is none",
    arguments: ["", "\n", "{}", "{}\n", "\n{}"])
  func noSample(text: String) {
    #expect(CheckBody(sample: Array(text.utf8)) == nil)
  }

  @Test("a server that fails is left alone for 60, 120, 240 and then 300 s, until it works again")
  func backoff() {
    var health = ServerHealth(limits: .init())
    for expected in [60_000, 120_000, 240_000, 300_000, 300_000] {
      #expect(health.note(.failed, hotkey: "a") == expected)
    }
    #expect(health.note(.fine, hotkey: "a") == 0)
    #expect(health.note(.failed, hotkey: "a") == 60_000)
    #expect(health.note(.busy, hotkey: "a") == 20_000)
  }

  @Test("one miner's answers cannot slow a server down; those of three in a row do")
  func troubled() {
    var health = ServerHealth(limits: .init())
    for _ in 0..<100 { #expect(health.note(.troubled, hotkey: "cheat") == 0) }
    #expect(health.note(.troubled, hotkey: "b") == 0)
    #expect(health.note(.troubled, hotkey: "c") == 60_000)
    #expect(health.note(.troubled, hotkey: "d") == 120_000)
    #expect(health.note(.fine, hotkey: "e") == 0)
    #expect(health.note(.troubled, hotkey: "c") == 0)
  }

  @Test("the loaded model's tasks come first, for two hundred checks; then another model has its turn")
  func sticky() {
    var order = TaskOrder()
    var random = SeededRandom(seed: 1)
    let candidates = [("a", "m", 1), ("b", "n", 1_000), ("c", "m", 2), ("d", "m", 0)].map {
      TaskOrder.Candidate(task: $0.0, model: $0.1, waiting: $0.2)
    }
    for _ in 0..<TaskOrder.batchMax {
      order.posted("m")
      if order.count < TaskOrder.batchMax {
        let names = order.order(candidates, using: &random)
        #expect(Set(names.prefix(2)) == ["a", "c"] && names.suffix(2) == ["b", "d"])
      }
    }
    #expect(order.order(candidates, using: &random).first == "b")
    let alone = candidates.filter { $0.model == "m" }
    #expect(Set(order.order(alone, using: &random).prefix(2)) == ["a", "c"], "nothing else waits")
    order.posted("n")
    #expect(order.order(candidates, using: &random).first == "b")
  }

  @Test("otherwise tasks are drawn by how many of their answers wait")
  func weighted() {
    let order = TaskOrder()
    var random = SeededRandom(seed: 7)
    let candidates = [("a", 30), ("b", 10)].map {
      TaskOrder.Candidate(task: $0.0, model: $0.0, waiting: $0.1)
    }
    let first = (0..<4_000).count { _ in order.order(candidates, using: &random).first == "a" }
    #expect(abs(first - 3_000) < 140, "five standard deviations")
  }

  @Test("servers are told apart by their URL; a check's name is known to the server that gave it only")
  func servers() throws {
    let servers = try CheckServer.list("http://10.0.0.1:6920/, http://10.0.0.2:6920,http://10.0.0.1:6920")
    #expect(servers.map(\.base) == ["http://10.0.0.1:6920", "http://10.0.0.2:6920"])
    #expect(servers[0].role != servers[1].role && servers[0].digest.count == 16)
    #expect(servers[0].remoteID(in: servers[0].note("id-1")) == "id-1")
    #expect(servers[1].remoteID(in: servers[0].note("id-1")) == nil)
    #expect(servers[0].remoteID(in: nil) == nil && servers[0].remoteID(in: "id-1") == nil)
    #expect(try CheckServer.list("").isEmpty)
    for text in ["ftp://a", "http://", "a:6920", "http://u:p@a", "http://a?x=1", "http://a#b"] {
      #expect(throws: CheckServer.Invalid.self, "\(text)") { try CheckServer.list(text) }
    }
  }
}
