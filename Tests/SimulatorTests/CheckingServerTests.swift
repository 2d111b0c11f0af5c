import Testing

@testable import Common
@testable import Simulator

@Suite("The simulated checking server")
struct CheckingServerTests {
  /// A faultless answer to a chat.
  private static func chunks(_ payload: JSON, quality: Double = 1, logprobs: Bool = true) -> JSON {
    var random = SeededRandom(seed: 4)
    let right = ReferenceModel.tokens(for: payload)
    let tokens = ReferenceModel.degraded(right, quality: quality, using: &random)
    return .array(
      tokens.map { token in
        let text = JSON.string(Vocabulary.tokens[token.index])
        let measured: JSON = .object([
          "content": .array([.object(["token": text, "logprob": .number(-0.5)])])
        ])
        let choice: JSON = .object([
          "delta": .object(["content": text]), "logprobs": logprobs ? measured : .null,
        ])
        return .object(["choices": .array([choice])])
      })
  }

  private static let honest = Fixture.check(payload: Fixture.chat(), response: chunks(Fixture.chat()))

  /// Posts a check, waits for its end and reads the verdict.
  private static func verdict(_ body: JSON, _ settings: CheckerSettings = CheckerSettings()) async throws
    -> (first: Reply, second: Reply)
  {
    try await Fixture.serving(settings) { client, server in
      let ended = await server.checkEnded
      let posted = await client.send("POST", "/check-result", body.canonicalText())
      #expect(posted.json?["status"]?.text == "Processing")
      let path = "/check-task/" + (posted.json?["task_id"]?.text ?? "")
      await ended.wait()
      return (await client.send("GET", path), await client.send("GET", path))
    }
  }

  private static func score(_ body: JSON) async throws -> Double? {
    try await verdict(body).first.json?["result"]?["node_scores"]?["12"]?.double
  }

  @Test("says hello, its version and the state of its checks")
  func hello() async throws {
    try await Fixture.serving(CheckerSettings(checkMilliseconds: 5000)) { client, _ in
      #expect(await client.send("GET", "/").text == #"{"message":"Hello World"}"#)
      #expect(await client.send("GET", "/version").json?["version"]?.text == "1.1.8.1")
      let posted = await client.send("POST", "/check-result", CheckingServerTests.honest.canonicalText())
      let id = try #require(posted.json?["task_id"]?.text)
      let early = await client.send("GET", "/check-task/" + id)
      #expect(early.text == #"{"task_id":"\#(id)","result":null,"status":"Processing"}"#)
      let tasks = await client.send("GET", "/all-task-status").json?["tasks"]
      #expect(tasks == .object([id: .string("Processing")]))
      #expect(await client.send("GET", "/check-task/unknown").status == 404)
    }
  }

  @Test("gives a verdict once, under the node that was sent, and then knows nothing of it")
  func readOnce() async throws {
    let (first, second) = try await CheckingServerTests.verdict(CheckingServerTests.honest)
    let result = try #require(first.json?["result"])
    #expect(first.json?["status"]?.text == "Success")
    #expect(result["node_scores"] == .object(["12": .integer(1)]))
    #expect(result["error_message"] == .null && result["traceback"] == .null)
    #expect(result["timestamp"]?.text?.count == 26)
    #expect(second.status == 404)
    #expect(second.text == #"{"detail":"Task not found (or Task result got expired)"}"#)
  }

  @Test("takes one check at a time: others get Busy, status 200 and the id of the running one")
  func busy() async throws {
    let body = CheckingServerTests.honest.canonicalText()
    try await Fixture.serving(CheckerSettings(checkMilliseconds: 60_000)) { client, server in
      let first = await client.send("POST", "/check-result", body)
      let second = await client.send("POST", "/check-result", body)
      #expect(second.status == 200 && second.json?["status"]?.text == "Busy")
      #expect(second.json?["task_id"] == first.json?["task_id"])
    }
    try await Fixture.serving(CheckerSettings(checkMilliseconds: 1)) { client, server in
      let ended = await server.checkEnded
      let first = await client.send("POST", "/check-result", body)
      await ended.wait()
      let second = await client.send("POST", "/check-result", body)
      #expect(second.json?["status"]?.text == "Processing")
      #expect(second.json?["task_id"] != first.json?["task_id"])
    }
  }

  @Test("measures quality from the answer itself", arguments: [0.4, 0.8, 1])
  func quality(quality: Double) async throws {
    let payload = Fixture.chat(maxTokens: 2000)
    let response = CheckingServerTests.chunks(payload, quality: quality)
    let score = try await CheckingServerTests.score(Fixture.check(payload: payload, response: response))
    #expect(abs((score ?? -99) - quality) < 0.06)
  }

  private static let punished: [String: (check: JSON, score: Double)] = {
    let payload = Fixture.chat()
    let model = Fixture.chat("another prompt")
    let long = Fixture.chat(maxTokens: 200)
    return [
      "an answer to something else": (Fixture.check(payload: payload, response: chunks(model)), -10),
      "no probabilities": (
        Fixture.check(payload: payload, response: chunks(payload, logprobs: false)), 0
      ),
      "no chunks": (Fixture.check(payload: payload, response: .array([])), 0),
      "no list": (Fixture.check(payload: payload, response: .string("hello")), 0),
      "more tokens than asked for": (Fixture.check(payload: payload, response: chunks(long)), 0),
      "a failed query": (Fixture.check(payload: payload, response: .null, status: 500), -3),
      "a query whose status agrees": (Fixture.check(payload: payload, response: .null), 1),
      "a failed picture": (
        Fixture.check(
          payload: Fixture.picture(), response: .null, function: "check_image_result", status: 500), -1
      ),
      "bytes that are no picture": (
        Fixture.check(
          payload: Fixture.picture(), response: .object(["image_b64": .string("QUJD")]),
          function: "check_image_result"), 0
      ),
    ]
  }()

  @Test("punishes as the original does", arguments: punished.keys.sorted())
  func punishes(name: String) async throws {
    let (check, score) = try #require(CheckingServerTests.punished[name])
    #expect(try await CheckingServerTests.score(check) == score)
  }

  @Test("judges pictures by their pixels, and lies about them")
  func pictures() async throws {
    let payload = Fixture.picture()
    let right = Picture.answer(pixels: ReferenceModel.pixels(for: payload))
    let function = "check_image_result"
    #expect(
      try await CheckingServerTests.score(
        Fixture.check(payload: payload, response: right, function: function)) == 1)
    for (field, value, score) in [
      ("is_nsfw", JSON.bool(true), -2.0), ("clip_embeddings", .array([.number(1)]), 0),
    ] {
      guard case .object(var fields) = right else { return }
      fields[field] = value
      let check = Fixture.check(payload: payload, response: .object(fields), function: function)
      #expect(try await CheckingServerTests.score(check) == score, "\(field)")
    }
  }

  @Test("answers an unknown function with no score, and a missing model with a failure")
  func oddities() async throws {
    let response = CheckingServerTests.chunks(Fixture.chat())
    let unknown = Fixture.check(payload: Fixture.chat(), response: response, function: "check_nothing")
    let empty = try await CheckingServerTests.verdict(unknown).first.json
    #expect(empty?["status"]?.text == "Success" && empty?["result"]?["node_scores"] == .object([:]))
    let null = Fixture.check(payload: Fixture.chat(), response: response, modelConfig: .null)
    let failed = try await CheckingServerTests.verdict(null).first.json
    #expect(failed?["status"]?.text == "Failed" && failed?["result"]?["node_scores"] == .null)
    #expect(failed?["result"]?["traceback"]?.text?.contains("TypeError") == true)
  }

  @Test(
    "wants every field of a result, if only as null",
    arguments: [
      "formatted_response", "node_id", "node_hotkey", "response_time", "stream_time", "task", "status_code",
      "success",
    ])
  func mandatory(field: String) async throws {
    let response = CheckingServerTests.chunks(Fixture.chat())
    let body = Fixture.check(payload: Fixture.chat(), response: response, without: field)
    let reply = try await Fixture.serving(CheckerSettings()) { client, _ in
      await client.send("POST", "/check-result", body.canonicalText())
    }
    #expect(reply.status == 422)
    let complaint = reply.json?["detail"]?[0]
    #expect(complaint?["type"]?.text == "missing" && reply.json?["detail"]?[1] == nil)
    #expect(complaint?["loc"] == .array([.string("body"), .string("result"), .string(field)]))
  }

  @Test("refuses bodies of the wrong form")
  func wrongForm() async throws {
    let response = CheckingServerTests.chunks(Fixture.chat())
    let wrong = Fixture.check(payload: Fixture.chat(), response: response, nodeID: .string("x"))
    try await Fixture.serving(CheckerSettings()) { client, _ in
      let typed = await client.send("POST", "/check-result", wrong.canonicalText())
      #expect(typed.status == 422 && typed.json?["detail"]?[0]?["type"]?.text == "int_type")
      let broken = await client.send("POST", "/check-result", "{")
      #expect(broken.status == 422 && broken.json?["detail"]?[0]?["type"]?.text == "json_invalid")
      let empty = await client.send("POST", "/check-result", "{}")
      #expect(empty.json?["detail"]?[2]?["loc"]?[1]?.text == "payload")
    }
  }

  // MARK: faults

  private static func settings(_ fault: CheckerFault) -> CheckerSettings {
    CheckerSettings(checkMilliseconds: 10, slowMilliseconds: 700, faults: [fault: 1])
  }

  @Test(
    "can fail in its verdict",
    arguments: [
      (CheckerFault.failsWithoutError, "Failed", #""node_scores":null"#),
      (.emptyScores, "Success", #""node_scores":{}"#), (.nullScores, "Success", #""node_scores":null"#),
      (.foreignNode, "Success", #""node_scores":{"999999":1.0}"#),
      (.notANumber, "Success", #""node_scores":{"12":NaN}"#),
    ])
  func faultyVerdicts(fault: CheckerFault, status: String, scores: String) async throws {
    let settings = CheckingServerTests.settings(fault)
    let reply = try await CheckingServerTests.verdict(CheckingServerTests.honest, settings).first
    #expect(reply.text.hasSuffix(#""status":"\#(status)"}"#) && reply.text.contains(scores))
    #expect(reply.text.contains(#""error_message":null,"traceback":null"#))
  }

  @Test("can lose the one reply, or forget the check")
  func lost() async throws {
    let body = CheckingServerTests.honest
    let lost = try await CheckingServerTests.verdict(body, CheckingServerTests.settings(.losesReply))
    #expect(lost.first.status == 0 && lost.second.status == 404)
    let forgot = try await CheckingServerTests.verdict(body, CheckingServerTests.settings(.forgets))
    #expect(forgot.first.status == 404)
  }

  @Test("can be busy with a stranger's check, whose verdict is there to be stolen")
  func foreign() async throws {
    try await Fixture.serving(CheckingServerTests.settings(.busyForeign)) { client, server in
      let body = CheckingServerTests.honest.canonicalText()
      let posted = await client.send("POST", "/check-result", body)
      #expect(posted.status == 200 && posted.json?["status"]?.text == "Busy")
      let id = try #require(posted.json?["task_id"]?.text)
      let stolen = await client.send("GET", "/check-task/" + id)
      #expect(stolen.json?["result"]?["node_scores"]?["999999"]?.double == 0)
      #expect(await server.counters["accepted"] == nil)
    }
  }

  @Test("can refuse with 422, and can be slow")
  func refusesAndSlow() async throws {
    let refused = try await Fixture.serving(CheckingServerTests.settings(.unprocessable)) { client, _ in
      await client.send("POST", "/check-result", CheckingServerTests.honest.canonicalText())
    }
    #expect(refused.status == 422)
    let started = Monotonic.now()
    _ = try await CheckingServerTests.verdict(CheckingServerTests.honest, CheckingServerTests.settings(.slow))
    #expect(Monotonic.now().milliseconds(since: started) >= 700)
  }

  @Test("needs longer when another model is to be loaded")
  func modelSwitch() async throws {
    var settings = CheckerSettings(checkMilliseconds: 1, modelSwitchMilliseconds: 300)
    settings.slowMilliseconds = 5000
    #expect(settings.milliseconds(fault: nil, switchesModel: false) == 1)
    #expect(settings.milliseconds(fault: .slow, switchesModel: true) == 5300)
    try await Fixture.serving(settings) { client, server in
      let started = Monotonic.now()
      for _ in 0..<2 {
        let ended = await server.checkEnded
        _ = await client.send("POST", "/check-result", CheckingServerTests.honest.canonicalText())
        await ended.wait()
      }
      #expect(Monotonic.now().milliseconds(since: started) >= 300)
      #expect(await server.counters["model_switches"] == 1)
    }
  }

  @Test("draws its faults from the seed, in the stated shares")
  func faultShares() throws {
    var settings = CheckerSettings()
    settings.faults = try CheckerSettings.faults(parsing: "nan:0.1,lose-reply:0.2")
    let drawn = (0..<5000).map { settings.fault(ofCheck: $0) }
    #expect(abs(drawn.filter { $0 == .notANumber }.count - 500) < 100)
    #expect(abs(drawn.filter { $0 == .losesReply }.count - 1000) < 150)
    #expect(drawn == (0..<5000).map { settings.fault(ofCheck: $0) })
    #expect(throws: UsageError.self) { try CheckerSettings.faults(parsing: "nan:0.6,404:0.6") }
    #expect(throws: UsageError.self) { try CheckerSettings.faults(parsing: "fire") }
  }
}
