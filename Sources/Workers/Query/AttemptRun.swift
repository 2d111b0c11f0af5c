import Common
import Foundation

/// Takes the pieces of a user's reply.
protocol PieceSink: AnyObject {
  /// - Parameter tokens: those of the answer up to this piece.
  @IO func take(_ piece: [UInt8], tokens: Int)
}

/// One attempt at one miner: sends the request, follows the answer, and says how it ended.
///
/// Nothing on the way of a token waits or allocates more than the bytes it keeps: events are scanned where
/// libcurl put them.
@IO
final class AttemptRun: TransferHandler, Placed {
  /// What bounds an answer.
  struct Limits {
    /// Most bytes of a response.
    var responseBytesMax = 16 << 20
    /// Most bytes of a stream event.
    var eventBytesMax = 256 << 10
    /// Most bytes of an answer that is kept to be checked.
    var answerBytesMax = 2 << 20
  }

  // What each piece of an answer touches stands together: with thousands of streams it comes from far away.
  private var verdict: Outcome?
  private var isStream = false
  private var isDone = false
  /// Whether the answer may still be checked.
  private(set) var keepsAnswer: Bool
  private var firstContentAt: Monotonic?
  private var parser: SSEParser
  /// How the user gets the answer.
  private var form: ReplyForm?
  /// Takes the user's reply; nil for synthetics.
  private let sink: (any PieceSink)?
  /// What it came to, once it ended.
  private(set) var result = AttemptResult(outcome: .interrupted)
  private var body: [UInt8] = []

  private let loaded: LoadedTask
  /// The miner that is asked.
  let hotkey: String
  var place = 0
  /// Of the request it keeps no more than the answer is measured by.
  private let (steps, images): (Int, Int)
  private let limits: Limits
  /// Called once, at the end.
  private var whenEnded: (() -> Void)?
  private var transfer: Transfer?
  private var head: HTTPHead?
  private static var scratch: [UInt8] = []
  private static var piece: [UInt8] = []
  /// The attempt's time, where the user's deadline makes it shorter than the task's.
  private var shortenedMilliseconds: Int?
  private var startedAt: Monotonic?
  /// Called once, with the first content. Returns whether this answer is wanted.
  var onFirstContent: ((AttemptRun) -> Bool)?

  /// Called once, when the user sees something of the answer.
  var onShown: (() -> Void)?

  init(
    task: LoadedTask, hotkey: String, parameters: QueryParameters, limits: Limits, keepsAnswer: Bool,
    form: ReplyForm? = nil, sink: (any PieceSink)?
  ) {
    loaded = task
    self.hotkey = hotkey
    (steps, images) = (parameters.steps, parameters.images.count)
    self.limits = limits
    self.keepsAnswer = keepsAnswer
    self.sink = sink
    self.form = form
    result.promptTokens = parameters.promptTokens
    parser = SSEParser(eventBytesMax: limits.eventBytesMax)
  }

  /// What the miner is asked for.
  var task: TaskConfig { loaded.config }

  /// Whether valid content came.
  var hasContent: Bool { firstContentAt != nil }

  /// From the start to the first content; nil before.
  var firstContentMilliseconds: Int? {
    guard let startedAt else { return nil }
    return firstContentAt?.milliseconds(since: startedAt)
  }

  /// How long it has been without content.
  func waitingMilliseconds(at now: Monotonic) -> Int { startedAt.map { now.milliseconds(since: $0) } ?? 0 }

  /// Since the first content; nil before.
  func flowingMilliseconds(at now: Monotonic) -> Int? { firstContentAt.map { now.milliseconds(since: $0) } }

  /// Mean time for four characters, about a token, since the first content, ms; nil before it, and for
  /// what does not stream.
  func paceMilliseconds(at now: Monotonic) -> Double? {
    guard isStream, let firstContentAt else { return nil }
    let elapsed = Double(now.nanoseconds - firstContentAt.nanoseconds) / 1_000_000
    return elapsed / max(1, Double(result.units) / 4)
  }

  /// Sends the request. `ended` is called once, when the answer is over; ``result`` then tells of it.
  /// - Parameter totalMilliseconds: the time left; at most the task's own total.
  func start(
    _ request: HTTPRequest, client: HTTPClient, totalMilliseconds: Int, ended: @escaping () -> Void
  ) {
    let limits = loaded.config.timeouts
    let total = max(1, min(totalMilliseconds, limits.totalMilliseconds))
    if total < limits.totalMilliseconds { shortenedMilliseconds = total }
    let timeouts = HTTPTimeouts(
      connectMilliseconds: min(total, limits.connectMilliseconds),
      firstContentMilliseconds: min(total, limits.firstContentMilliseconds),
      stallMilliseconds: limits.stallMilliseconds, totalMilliseconds: total)
    startedAt = Monotonic.now()
    whenEnded = ended
    transfer = client.start(
      request, timeouts: timeouts, limits: HTTPLimits(responseBytesMax: self.limits.responseBytesMax),
      handler: self)
  }

  /// Gives the attempt up and closes the miner's socket. `outcome` is what it ends with.
  func cancel(as outcome: Outcome) { end(as: outcome, "") }

  // MARK: the answer as it comes

  func transfer(_ transfer: Transfer, received head: HTTPHead) {
    self.head = head
    result.status = head.status
    result.retryAfterSeconds = head.retryAfterSeconds
    isStream = loaded.config.streams && head.status == 200 && !head.isJSON
  }

  func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer) {
    guard verdict == nil else { return }
    if isStream {
      receiveEvents(bytes)
    } else if head?.status == 200 {
      if !loaded.config.streams, firstContentAt == nil { beginContent() }
      body.append(contentsOf: bytes)
    } else if body.count < 4096 {
      body.append(contentsOf: bytes.prefix(4096))
    }
  }

  private func receiveEvents(_ bytes: UnsafeRawBufferPointer) {
    // One buffer for all attempts, empty between two reads.
    var piece: [UInt8] = []
    swap(&piece, &AttemptRun.piece)
    defer {
      piece.removeAll(keepingCapacity: piece.capacity <= 64 << 10)
      swap(&piece, &AttemptRun.piece)
    }
    do throws(SSEParser.Failure) {
      try parser.feed(bytes) { receiveEvent($0, &piece) }
    } catch {
      end(as: .malformed, "an event of the stream is too large")
    }
    show(piece)
  }

  /// Content comes for the first time.
  private func beginContent() {
    firstContentAt = Monotonic.now()
    transfer?.contentArrived()
    guard onFirstContent?(self) == false else { return }
    // Another attempt was first: this one says nothing of how the request ended.
    firstContentAt = nil
    end(as: .cancelled, "")
  }

  private func show(_ piece: [UInt8]) {
    guard let sink, !piece.isEmpty else { return }
    if !result.wasShown {
      result.wasShown = true
      onShown?()
      onShown = nil
    }
    sink.take(piece, tokens: result.contentChunks)
  }

  private func receiveEvent(_ data: UnsafeRawBufferPointer, _ piece: inout [UInt8]) {
    guard verdict == nil, !isDone else { return }
    if SSEParser.isDone(data) {
      isDone = true
      return
    }
    let chunk = ChatChunk.scan(data, text: &AttemptRun.scratch)
    switch chunk.kind {
    case .content:
      if firstContentAt == nil {
        beginContent()
        guard verdict == nil else { return }
      }
      result.units += chunk.codePoints
      result.contentChunks += 1
    case .empty: break
    case .error:
      let isRateLimit = InBandError.isRateLimit(data)
      end(as: isRateLimit ? .rateLimited : .serverError, "the miner reported an error in the stream")
      return
    case .malformed:
      end(as: .malformed, "an event of the stream is no valid chunk")
      return
    }
    // A checking server takes every chunk for one token: the role, the finish reason and the usage are none.
    if chunk.kind == .content || chunk.hasLogprobs { keep(data) }
    form?.add(chunk, of: data, to: &piece)
  }

  /// Adds an event to the list that a checking server will see.
  private func keep(_ data: UnsafeRawBufferPointer) {
    guard keepsAnswer else { return }
    guard body.count + data.count < limits.answerBytesMax else {
      keepsAnswer = false
      body = []
      return
    }
    body.append(UInt8(ascii: body.isEmpty ? "[" : ","))
    body.append(contentsOf: data)
  }

  private func end(as outcome: Outcome, _ problem: String) {
    guard verdict == nil else { return }
    verdict = outcome
    result.problem = problem
    transfer?.cancel()
  }

  // MARK: the end

  func transfer(_ transfer: Transfer, ended end: Result<HTTPSummary, HTTPFailure>) {
    result.totalMilliseconds = Monotonic.now().milliseconds(since: transfer.startedAt)
    switch end {
    case .success: if verdict == nil { finish() }
    case .failure(let failure):
      if verdict == nil {
        verdict = AttemptResult.outcome(of: failure)
        result.problem = failure.message
        if failure.isTimeout, let limit = shortenedMilliseconds, result.totalMilliseconds >= limit {
          verdict = .cancelled
          result.isPastDeadline = true
        }
      }
    }
    result.outcome = verdict ?? .interrupted
    result.firstContentMilliseconds = firstContentMilliseconds
    self.transfer = nil
    onFirstContent = nil
    onShown = nil
    let ended = whenEnded
    whenEnded = nil
    ended?()
  }

  /// The response came to its regular end.
  private func finish() {
    guard let head, head.status == 200 else {
      verdict = AttemptResult.outcome(status: result.status)
      result.problem = "the miner answered with status \(result.status)"
      return
    }
    if isStream { finishStream() } else { finishBody() }
  }

  private func finishStream() {
    var piece: [UInt8] = []
    do throws(SSEParser.Failure) {
      try parser.finish { receiveEvent($0, &piece) }
    } catch {
      verdict = .malformed
    }
    show(piece)
    guard verdict == nil else { return }
    guard result.units > 0 else {
      verdict = .malformed
      result.problem = "the stream held no text"
      return
    }
    verdict = .ok
    if let form {
      show(
        form.end(
          .init(promptTokens: result.promptTokens, completionTokens: result.contentChunks)))
    }
    if keepsAnswer { result.answer = body + [UInt8(ascii: "]")] }
  }

  private func finishBody() {
    guard !loaded.config.streams else {
      // A stream was asked for and JSON came: an error that is told with status 200.
      let isRateLimit = body.withUnsafeBytes { InBandError.isRateLimit($0) }
      verdict = isRateLimit ? .rateLimited : .serverError
      result.problem = "the miner answered a stream with plain JSON"
      return
    }
    guard let answer = body.withUnsafeBytes({ AnswerBody($0) }) else {
      verdict = .malformed
      result.problem = "the answer is no JSON object"
      return
    }
    switch loaded.config.kind {
    case .image:
      result.units = steps
      verdict = answer.hasImage ? .ok : .malformed
    case .embeddings:
      result.units = answer.embeddings
      verdict = answer.embeddings == images ? .ok : .malformed
    case .text: verdict = .malformed
    }
    guard verdict == .ok else {
      result.problem = "the answer lacks what was asked for"
      return
    }
    show(body)
    if keepsAnswer, body.count <= limits.answerBytesMax { result.answer = body }
  }
}

/// Errors that a miner reports inside an answer.
package enum InBandError {
  /// Whether an error object says by its code, type or status (never by its words) that the miner has no
  /// room: 429, `rate_limit…` or `overloaded…`.
  package static func isRateLimit(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count <= 64 << 10, let json = try? JSON(parsing: Data(bytes)) else { return false }
    for object in [json["error"], json] {
      for key in ["code", "status", "status_code", "type"] {
        if object?[key]?.int == 429 { return true }
        if let text = object?[key]?.text,
          text == "429" || text.hasPrefix("rate_limit") || text.hasPrefix("overloaded")
        {
          return true
        }
      }
    }
    return false
  }
}
