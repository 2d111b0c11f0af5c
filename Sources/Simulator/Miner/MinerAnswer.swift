import Common
import Foundation

/// How a stream ends.
enum StreamEnding: Equatable {
  case complete
  /// The connection closes.
  case closes
  /// Nothing more comes for ``MinerAnswer/stallMilliseconds``, then the connection closes.
  case stalls
  /// An error event, then a regular end.
  case error
  /// An event that is no JSON, then a regular end.
  case brokenJSON
}

/// A stream as a miner means to send it.
struct StreamPlan {
  var tokens: [SampledToken]
  var format: ChunkFormat
  var schedule: TokenSchedule
  var dialect: StreamDialect
  var ending = StreamEnding.complete
}

/// A whole answer as a miner means to send it.
struct WholeAnswer {
  var status = 200
  var contentType = "application/json"
  var headers: [String] = []
  var body: [UInt8]
  var afterMilliseconds = 0
  /// Announces more than it sends and closes.
  var isTruncated = false
}

/// What a miner answers to one request: a pure function of its behaviour and the request's bytes.
enum MinerAnswer {
  case whole(WholeAnswer)
  case stream(StreamPlan)

  /// How long a miner that stalls keeps the connection open.
  static let stallMilliseconds = 120_000
  private static let dripTokensPerSecond = 1.0
  private static let dripFactor = 30.0

  static func error(_ status: Int, _ detail: String, headers: [String] = []) -> MinerAnswer {
    let body = JSON.object(["detail": .string(detail)]).canonicalText()
    return .whole(WholeAnswer(status: status, headers: headers, body: Array(body.utf8)))
  }

  static let rateLimited = error(429, "at capacity", headers: ["retry-after: 1"])

  /// The volume that the right answer to `payload` has; what the miner's hardware is charged with.
  static func volume(of task: TaskConfig, payload: JSON) -> Double {
    switch task.kind {
    case .text: return Double(ReferenceModel.tokens(for: payload).count) * Vocabulary.meanVolume
    case .image: return Double(payload["steps"]?.int ?? 1)
    case .embeddings: return Double(ReferenceModel.embeddings(for: payload).count)
    }
  }

  /// What `miner` answers to a request of `task` that its hardware has room for.
  static func make(
    for miner: MinerBehaviour, task: TaskConfig, hardware: TaskHardware, body: [UInt8], payload: JSON
  ) -> MinerAnswer {
    var random = miner.random(for: body)
    let fault = random.uniform() < miner.faultShare ? miner.kind : .honest
    switch fault {
    case .alwaysRateLimited: return rateLimited
    case .serverErrors: return error(500, "CUDA out of memory")
    case .garbage where random.uniform() < 0.15:
      let page = Array("<html><body>Welcome</body></html>".utf8)
      return .whole(WholeAnswer(contentType: "text/html", body: page))
    default: break
    }
    switch task.kind {
    case .text:
      let isChat = task.shape == .chat
      return .stream(stream(miner, fault, hardware, payload, isChat: isChat, using: &random))
    case .image: return image(miner, fault, hardware, payload, using: &random)
    case .embeddings: return embeddings(miner, fault, hardware, payload, using: &random)
    }
  }

  private static func stream(
    _ miner: MinerBehaviour, _ fault: BehaviourKind, _ hardware: TaskHardware, _ payload: JSON,
    isChat: Bool, using random: inout SeededRandom
  ) -> StreamPlan {
    let id = (isChat ? "chatcmpl-" : "cmpl-") + String(random.next(), radix: 16)
    let right = ReferenceModel.tokens(for: payload)
    let quality = fault == .garbage ? 0 : miner.quality
    let first = Int(Double(hardware.firstMilliseconds) * (0.8 + 0.4 * random.uniform()))
    var plan = StreamPlan(
      tokens: ReferenceModel.degraded(right, quality: quality, using: &random),
      format: ChunkFormat(id: id, model: payload["model"]?.text ?? "", isChat: isChat),
      schedule: TokenSchedule(
        firstMilliseconds: first, tokensPerSecond: hardware.unitsPerSecond, count: right.count),
      dialect: miner.dialect)
    switch fault {
    case .garbage:
      plan.schedule = TokenSchedule(firstMilliseconds: 0, tokensPerSecond: 0, count: right.count)
      if random.uniform() < 0.15 { plan.cut(to: right.count / 2, ending: .brokenJSON) }
    case .slowDrip: plan.schedule.tokensPerSecond = dripTokensPerSecond
    case .truncates: plan.cut(to: right.count / 2, ending: .closes)
    case .stalls: plan.cut(to: right.count / 3, ending: .stalls)
    case .inBandError: plan.cut(to: right.count / 3, ending: .error)
    case .noLogprobs: plan.format.withLogprobs = false
    default: break
    }
    return plan
  }

  private static func image(
    _ miner: MinerBehaviour, _ fault: BehaviourKind, _ hardware: TaskHardware, _ payload: JSON,
    using random: inout SeededRandom
  ) -> MinerAnswer {
    let quality = fault == .garbage ? 0 : miner.quality
    let right = ReferenceModel.pixels(for: payload)
    let pixels = ReferenceModel.degraded(right, quality: quality, using: &random)
    let units = Double(payload["steps"]?.int ?? 1)
    return whole(Picture.answer(pixels: pixels), fault, hardware, units: units)
  }

  private static func embeddings(
    _ miner: MinerBehaviour, _ fault: BehaviourKind, _ hardware: TaskHardware, _ payload: JSON,
    using random: inout SeededRandom
  ) -> MinerAnswer {
    let quality = fault == .garbage ? 0 : miner.quality
    let rows = ReferenceModel.embeddings(for: payload).map { row in
      row.map { random.uniform() < quality ? $0 : ReferenceModel.rounded(random.uniform() * 2 - 1) }
    }
    let answer = JSON.object(["clip_embeddings": .array(rows.map { .array($0.map(JSON.number)) })])
    return whole(answer, fault, hardware, units: Double(rows.count))
  }

  private static func whole(
    _ value: JSON, _ fault: BehaviourKind, _ hardware: TaskHardware, units: Double
  ) -> MinerAnswer {
    let milliseconds = Double(hardware.firstMilliseconds) + units / hardware.unitsPerSecond * 1000
    var answer = WholeAnswer(
      body: Array(value.canonicalText().utf8), afterMilliseconds: Int(min(milliseconds, 600_000)))
    switch fault {
    case .garbage: answer.afterMilliseconds = 0
    case .slowDrip: answer.afterMilliseconds = Int(min(milliseconds * dripFactor, 600_000))
    case .truncates: answer.isTruncated = true
    case .stalls: answer.afterMilliseconds = stallMilliseconds
    case .inBandError: answer.body = Array("{\"error\":{\"message\":\"worker lost\",\"code\":500}}".utf8)
    case .noLogprobs: answer.body = Array("{\"image_b64\":null,\"is_nsfw\":false}".utf8)
    default: break
    }
    return .whole(answer)
  }
}

extension StreamPlan {
  /// Ends after `count` tokens, at least one.
  mutating func cut(to count: Int, ending: StreamEnding) {
    tokens = Array(tokens.prefix(max(1, count)))
    schedule.count = tokens.count
    self.ending = ending
  }
}
