import Testing

@testable import Common
@testable import Simulator

enum Fixture {
  static let subnet = SimulatedSubnet()

  /// A quick miner of one kind that serves every task.
  static func miner(
    _ kind: BehaviourKind = .honest, quality: Double = 1, tokensPerSecond: Double = 2000,
    volumePerSecond: Double = 10_000, inFlightMax: Int = 1000, dialect: StreamDialect = StreamDialect(),
    seed: UInt64 = 7
  ) -> MinerBehaviour {
    let hardware = TaskHardware(
      volumePerSecond: volumePerSecond, unitsPerSecond: tokensPerSecond, firstMilliseconds: 5,
      inFlightMax: inFlightMax)
    return MinerBehaviour(
      hotkey: "5Miner", uid: 3, kind: kind, seed: seed, quality: quality, dialect: dialect,
      hardware: Dictionary(uniqueKeysWithValues: subnet.tasks.map { ($0.name, hardware) }),
      profilePeriodSeconds: 3600)
  }

  static func chat(_ prompt: String = "Hello", seed: Int = 42, maxTokens: Int = 40) -> JSON {
    let message: JSON = .object(["role": .string("user"), "content": .string(prompt)])
    return .object([
      "messages": .array([message]), "temperature": .number(0.5), "seed": .integer(seed),
      "model": .string("chat-llama-3"), "stream": .bool(true), "logprobs": .bool(true),
      "max_tokens": .integer(maxTokens), "top_p": .integer(1), "top_k": .integer(5),
    ])
  }

  static func picture(steps: Int = 8, seed: Int = 5, model: String = "proteus-text-to-image") -> JSON {
    .object([
      "prompt": .string("a lighthouse"), "seed": .integer(seed), "steps": .integer(steps),
      "model": .string(model), "cfg_scale": .number(3), "width": .integer(1024), "height": .integer(1024),
    ])
  }

  /// A body for `POST /check-result`.
  static func check(
    payload: JSON, response: JSON, function: String = "check_text_result", nodeID: JSON = .integer(12),
    status: Int = 200, modelConfig: JSON? = nil, without missing: String? = nil
  ) -> JSON {
    let model: JSON = .object(["model": .string("m"), "tokenizer": .string("t"), "eos_token_id": .integer(2)])
    let needed = function.contains("image") ? "image_server" : "llm_server"
    var result: [String: JSON] = [
      "formatted_response": response, "node_id": nodeID, "node_hotkey": .string("5Miner"),
      "response_time": .number(1.5), "stream_time": .number(1), "task": .string("t"),
      "status_code": .integer(status), "success": .bool(true),
    ]
    if let missing { result[missing] = nil }
    return .object([
      "server_config": .object([
        "server_needed": .string(needed), "load_model_config": modelConfig ?? model,
        "checking_function": .string(function), "task": .string("t"), "endpoint": .string("/x"),
      ]),
      "result": .object(result), "payload": payload,
    ])
  }

  /// Serves one miner while `body` runs.
  static func serving<T: Sendable>(
    _ behaviour: MinerBehaviour, _ body: (BlockingClient) async throws -> T
  ) async throws -> T {
    let miner = try await startMiner(behaviour)
    do {
      let value = try await body(BlockingClient(port: miner.port))
      await miner.stop()
      return value
    } catch {
      await miner.stop()
      throw error
    }
  }

  /// Serves a checking server while `body` runs.
  static func serving<T: Sendable>(
    _ settings: CheckerSettings, _ body: (BlockingClient, CheckingServer) async throws -> T
  ) async throws -> T {
    let server = try await startChecker(settings)
    do {
      let value = try await body(BlockingClient(port: server.port), server)
      await server.stop()
      return value
    } catch {
      await server.stop()
      throw error
    }
  }

  @IO private static func startMiner(_ behaviour: MinerBehaviour) throws -> SimulatedMiner {
    let miner = try SimulatedMiner(behaviour, tasks: subnet.tasks, port: 0, wheel: TickWheel())
    try miner.start()
    return miner
  }

  @IO private static func startChecker(_ settings: CheckerSettings) throws -> CheckingServer {
    let server = try CheckingServer(settings, port: 0)
    try server.start()
    return server
  }
}

extension Reply {
  /// The words of a chat stream.
  var words: [String] { events.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.text } }
}
