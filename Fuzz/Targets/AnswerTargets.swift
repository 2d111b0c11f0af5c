import Common
import Foundation
import Producer
import Workers

/// What miners, checking servers, users and the roster's source write.
extension FuzzTarget {
  static let answers = [
    FuzzTarget(name: "capacity", tokens: ["\"chat\":", "{\"volume\":", "\"miner_type\":\"text\"", "null"]) {
      bytes in
      for profile in [ScoringProfile.vision, .nineteen] {
        let answer = CapacityAnswer(parsing: bytes, tasks: tasks, profile: profile)
        guard let claims = answer?.claims else { continue }
        try expect(claims.count == tasks.count, "a claim for each task")
        try expect(claims.allSatisfy { $0.isFinite }, "a claim is not finite")
      }
    },
    FuzzTarget(
      name: "checks",
      tokens: [
        "\"status\":\"Busy\"", "\"status\":\"Processing\"", "\"status\":\"Success\"", "\"status\":\"Failed\"",
        "\"task_id\":\"t1\"", "\"result\":{\"node_scores\":{\"7\":", "\"traceback\":", "NaN", "-Infinity",
      ]
    ) { bytes in
      for status in [200, 400, 404, 500] {
        if case .accepted(let id) = PostAnswer(status: status, body: bytes) {
          try expect(
            !id.isEmpty && !id.contains("/") && id.utf8.count <= 128, "a name that cannot stand in a path")
        }
        let poll = PollAnswer(status: status, body: bytes, remoteID: "t1", nodeKey: "7")
        if case .judged(let score) = poll { try expect((-10...1).contains(score), "a score out of range") }
      }
    },
    FuzzTarget(
      name: "payload",
      tokens: [
        "\"messages\":[{\"role\":\"user\",\"content\":\"", "\"prompt\":\"", "\"seed\":", "\"max_tokens\":",
        "\"temperature\":", "\"image_b64s\":[\"", "\"init_image\":\"", "\"logprobs\":true", "\"steps\":",
      ]
    ) { bytes in
      var random = SeededRandom(seed: 1)
      for task in tasks {
        guard let parameters = try? OrganicRequest.parameters(task, payload: bytes, random: &random) else {
          continue
        }
        try expect((0...Int(Int32.max)).contains(parameters.seed), "a seed out of range")
        try expect((1...100_000).contains(parameters.maxTokens), "tokens out of range")
        let body = RequestBuilder.body(task, parameters)
        try expect((try? JSON(parsing: Data(body))) != nil, "a miner would get no JSON")
      }
    },
    FuzzTarget(
      name: "roster",
      tokens: [
        "\"version\":1", "\"miners\":[",
        "{\"hotkey\":\"5F\",\"uid\":1,\"address\":\"http://203.0.113.7:1\"},", "\"uid\":",
        "http://127.0.0.1:1", "http://[::1]:1", "http://0x7f000001", "http://169.254.169.254", "\"stake\":",
      ]
    ) { bytes in
      let policy = try NetworkPolicy(parsing: "public")
      guard let roster = try? Roster(parsing: bytes, networks: policy) else { return }
      for miner in roster.miners {
        try expect(miner.stake.isFinite && miner.stake >= 0 && miner.uid >= 0, "a miner with odd numbers")
        guard let host = URLComponents(string: miner.address)?.host else {
          throw FuzzFinding("an address that is none: \(miner.address)")
        }
        let literal = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        if let address = IPAddress(literal) {
          try expect(policy.permits(address), "an inner address: \(literal)")
        }
      }
    },
  ]

  /// One task of each shape.
  private static let tasks: [TaskConfig] = PayloadShape.allCases.map { shape in
    let kind =
      shape == .chat || shape == .completion ? "text" : shape == .clipEmbeddings ? "embeddings" : "image"
    let text = """
      {"name": "\(shape.rawValue)", "kind": "\(kind)", "shape": "\(shape.rawValue)", "weight": 0.1, "max_capacity": 1000,
       "volume_per_request": 1, "path": "/p", "model": "m", "stream": \(kind == "text"),
       \(kind == "text" ? "\"max_tokens\": [10, 20]," : "\"steps\": [6, 12], \"size\": [64, 64],")
       "timeouts": {"connect_ms": 1000, "first_content_ms": 1000, "stall_ms": 1000, "total_ms": 5000}}
      """
    guard let task = try? JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8)) else {
      preconditionFailure("a task of the fuzzer is none")
    }
    return task
  }
}
