import Testing

@testable import Common
@testable import Simulator
@testable import Workers

/// A miner of the simulator, for one test.
@IO
func withMiner<T>(
  _ kind: BehaviourKind, dialect: StreamDialect = StreamDialect(), tokensPerSecond: Double = 4000,
  _ body: @IO (String, [TaskConfig]) async throws -> T
) async throws -> T {
  let tasks = SimulatedSubnet().tasks
  let hardware = TaskHardware(
    volumePerSecond: 100_000, unitsPerSecond: tokensPerSecond, firstMilliseconds: 5, inFlightMax: 1000)
  let behaviour = MinerBehaviour(
    hotkey: "5Miner", uid: 3, kind: kind, seed: 7, quality: 1, dialect: dialect,
    hardware: Dictionary(uniqueKeysWithValues: tasks.map { ($0.name, hardware) }), profilePeriodSeconds: 3600)
  let miner = try SimulatedMiner(behaviour, tasks: tasks, port: 0, wheel: TickWheel())
  try miner.start()
  defer { miner.stop() }
  return try await body("http://127.0.0.1:\(miner.port)", tasks)
}

@Suite("An attempt at a miner")
struct OutcomeTests {
  @IO func attempt(
    _ kind: BehaviourKind, _ shape: PayloadShape = .chat, dialect: StreamDialect = StreamDialect(),
    change: (inout TaskConfig) -> Void = { _ in }, isWanted: Bool = true,
    sink: (any PieceSink)? = nil
  ) async throws -> AttemptResult {
    try await withMiner(kind, dialect: dialect) { address, tasks in
      var task = tasks.first { $0.shape == shape }!
      task.timeouts = TaskTimeouts(
        connectMilliseconds: 1_000, firstContentMilliseconds: 5_000, stallMilliseconds: 5_000,
        totalMilliseconds: 20_000)
      change(&task)
      let client = HTTPClient()
      defer { client.close() }
      var parameters = QueryParameters()
      parameters.messages = [ChatMessage(role: "user", content: "Hello")]
      parameters.prompt = "Hello"
      parameters.maxTokens = 40
      parameters.images = ["aGk=", "aGk="]
      parameters.initImage = "aGk="
      parameters.maskImage = "aGk="
      let grant = Grant(
        id: "a", token: "t", kind: .organic, task: task.name, attempt: 1, deadlineMilliseconds: nil,
        streams: true, payload: [])
      let loaded = LoadedTask(task)
      let form = sink.map { _ in ReplyForm(grant, loaded, parameters, nowMilliseconds: 0) }
      let run = AttemptRun(
        task: loaded, hotkey: "5Miner", parameters: parameters, limits: .init(), keepsAnswer: true,
        form: form, sink: sink)
      run.onFirstContent = { _ in isWanted }
      let body = RequestBuilder.body(task, parameters)
      let request = RequestBuilder.request(task, address: address, body: body, headers: .init(bearer: nil))
      await withUnsafeContinuation { continuation in
        run.start(request, client: client, totalMilliseconds: 20_000) { continuation.resume() }
      }
      return run.result
    }
  }

  @Test(
    "of an honest miner is ok for every shape of task",
    arguments: [PayloadShape.chat, .textToImage, .imageToImage, .inpaint, .avatar])
  @IO func honest(shape: PayloadShape) async throws {
    let result = try await attempt(.honest, shape)
    #expect(result.outcome == .ok, "\(result.problem)")
    #expect(result.units > 0 && result.answer != nil && result.firstContentMilliseconds != nil)
  }

  @Test("counts characters and tokens, and relays what the user asked for and no more")
  @IO func relays() async throws {
    let relayed = Relayed()
    let dialect = StreamDialect(framesWithEmptyChunks: true)
    let result = try await attempt(.honest, dialect: dialect, sink: relayed)
    let text = String(decoding: relayed.bytes, as: UTF8.self)
    #expect(text.hasSuffix("data: [DONE]\n\n"))
    let chunks = text.components(separatedBy: "\n\n").dropLast(2)
    let words = chunks.map { ChatChunk.scan(Array($0.dropFirst(6).utf8)) }
    #expect(words.reduce(0) { $0 + $1.chunk.codePoints } == result.units)
    #expect(words.count { $0.chunk.kind == .content } == result.contentChunks)
    #expect(chunks.allSatisfy { $0.hasPrefix("data: {") && !$0.contains("logprobs") })
  }

  @Test(
    "ends with the outcome that the miner's behaviour deserves",
    arguments: [
      (BehaviourKind.alwaysRateLimited, Outcome.rateLimited), (.serverErrors, .serverError),
      (.truncates, .truncated), (.inBandError, .serverError),
    ])
  @IO func outcomes(kind: BehaviourKind, expected: Outcome) async throws {
    let result = try await attempt(kind)
    #expect(result.outcome == expected, "\(result.problem)")
    #expect(result.answer == nil)
  }

  @Test(
    "that comes second ends without content, and decides nothing", arguments: [PayloadShape.chat, .avatar])
  @IO func second(shape: PayloadShape) async throws {
    let relayed = Relayed()
    let second = try await attempt(
      .honest, shape, isWanted: false, sink: relayed)
    #expect(second.outcome == .cancelled && second.firstContentMilliseconds == nil)
    #expect(relayed.bytes.isEmpty && !second.wasShown)
    let first = try await attempt(.honest, shape)
    let period = LoadedPeriod(snapshot: try .make(startMilliseconds: 0, counts: [[1]]), seed: 1)
    let ends = [first, second].map {
      AttemptEnd(target: .init(period: period, taskIndex: 0, miner: 0), result: $0, body: [])
    }
    for order in [ends, ends.reversed()] {
      #expect(AttemptEnd.inOrder(order).last?.result.outcome == .ok, "whichever of them ended first")
    }
  }

  @Test("tells the four time limits apart by what had come")
  @IO func timeouts() async throws {
    let stalled = try await attempt(.stalls) { $0.timeouts.stallMilliseconds = 100 }
    #expect(stalled.outcome == .stallTimeout && stalled.firstContentMilliseconds != nil)
    let slow = try await attempt(.slowDrip) {
      $0.timeouts.totalMilliseconds = 300
      $0.timeouts.stallMilliseconds = 5_000
    }
    #expect([.totalTimeout, .firstContentTimeout].contains(slow.outcome))
    let refused = try await attempt(.refuses)
    #expect(refused.outcome == .refused)
  }

  @Test("reads an in-band rate limit by its code, never by its words")
  func inBandRateLimit() {
    func isRateLimit(_ text: String) -> Bool {
      Array(text.utf8).withUnsafeBytes { InBandError.isRateLimit($0) }
    }
    #expect(isRateLimit(#"{"error":{"message":"x","code":429}}"#))
    #expect(isRateLimit(#"{"error":{"type":"rate_limit_exceeded"}}"#))
    #expect(isRateLimit(#"{"status_code":"429"}"#))
    #expect(!isRateLimit(#"{"error":{"message":"broken: rate limit 429"}}"#))
    #expect(!isRateLimit(#"{"error":"429 bro"}"#))
  }

  @Test("moves exactly one counter, as the documented table says", arguments: Outcome.allCases)
  func counters(outcome: Outcome) {
    let expected: Outcome.Counter
    switch outcome {
    case .ok: expected = .good
    case .rateLimited: expected = .rateLimit
    case .cancelled, .interrupted: expected = .none
    default: expected = .failure
    }
    #expect(outcome.counter == expected)
  }
}

@IO private final class Relayed: PieceSink {
  var bytes: [UInt8] = []
  func take(_ piece: [UInt8], tokens: Int) { bytes += piece }
}
