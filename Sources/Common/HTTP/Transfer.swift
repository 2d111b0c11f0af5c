import CCurl

/// Receives a transfer's events, on the loop, synchronously from where the bytes were read.
///
/// `ended` is called exactly once, last, and never from inside `start` or `cancel`. Any method may cancel
/// this or another transfer and start new ones.
public protocol TransferHandler: AnyObject {
  /// The head of the response is complete.
  @IO func transfer(_ transfer: Transfer, received head: HTTPHead)
  /// A piece of the body, valid during the call only.
  @IO func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer)
  /// The transfer is over.
  @IO func transfer(_ transfer: Transfer, ended result: Result<HTTPSummary, HTTPFailure>)
}

/// One request on its way, and its response as it comes in.
///
/// States: running (until libcurl reports its end, or a verdict of ours ends it earlier) -> detached (the
/// easy handle is given back; a socket that was in use is closed) -> ended (the handler was told).
@IO
public final class Transfer: Placed {
  /// Where the transfer stands.
  enum State { case running, detached, ended }

  // What each piece of a body touches stands together: with thousands of transfers it comes from far away.
  var state = State.running
  private var contentCame = false
  private var handler: (any TransferHandler)?
  private var lastByteAt: Monotonic
  /// Bytes of the body that came so far.
  public private(set) var bodyBytes = 0
  let limits: HTTPLimits
  /// Why we end the transfer; nil while libcurl decides.
  private(set) var verdict: HTTPFailure?

  private let client: HTTPClient
  let timeouts: HTTPTimeouts
  /// When the transfer was started.
  public let startedAt = Monotonic.now()
  /// The multi handle that has the server's connections.
  let multi: CurlMulti
  let easy: EasyHandle
  /// The request's headers, which libcurl reads until the transfer is detached.
  var headers: HeaderList?
  /// The request's URL, which libcurl reads as long.
  var url: ParsedURL?
  /// Whether libcurl has the easy handle.
  var isAdded = false
  /// Kept by the client's list.
  public var place = 0

  private var head: HTTPHead?
  private var headerBytes = 0
  private var hasRetryAfter = false
  private var firstByteAt: Monotonic?
  private var timer: LoopTimer?
  private var timerDeadline = Monotonic(nanoseconds: .max)
  /// The timer fired late and was set again for one more look.
  private var looksAgain = false

  /// A timer that fires this much after its time says that the loop was held up.
  static let lateMilliseconds = 20
  /// The longest `Retry-After` that is passed on, in seconds.
  static let retryAfterSecondsMax = 86_400

  init(
    client: HTTPClient, multi: CurlMulti, easy: EasyHandle, timeouts: HTTPTimeouts, limits: HTTPLimits,
    handler: any TransferHandler
  ) {
    self.client = client
    self.multi = multi
    self.easy = easy
    self.timeouts = timeouts
    self.limits = limits
    self.handler = handler
    lastByteAt = startedAt
    armTimer()
  }

  /// Whether any byte of the response came.
  var hasResponse: Bool { firstByteAt != nil }

  /// The status code, once the head came.
  public var status: Int? { head?.status }

  // MARK: what the handler's owner says

  /// Gives the transfer up and closes its socket: at once, or from inside a handler as soon as libcurl
  /// returns. Nothing more is received; `ended` follows with `cancelled`. Without effect after the end.
  public func cancel() { fail(HTTPFailure(.cancelled), isDeferred: true) }

  /// Says that the first valid content was seen: the first-content timeout is over, the stall timeout runs.
  public func contentArrived() {
    guard state == .running, !contentCame else { return }
    contentCame = true
    lastByteAt = Monotonic.now()
    armTimer()
  }

  /// Ends a transfer that cannot be sent.
  func refuse(_ failure: HTTPFailure) { fail(failure, isDeferred: true) }

  /// Ends the transfer because its client is closed.
  func close() {
    guard state == .running else { return }
    if verdict == nil { verdict = HTTPFailure(.cancelled) }
    client.detach(self)
    EventLoop.shared.atEndOfTurn { self.end(CURLE_OK) }
  }

  /// Ends the transfer for a reason of ours. Inside libcurl's callbacks its handles must not be removed:
  /// then the client does it when libcurl has returned.
  private func fail(_ failure: HTTPFailure, isDeferred: Bool) {
    guard state == .running, verdict == nil else { return }
    verdict = failure
    if client.isInsideCurl {
      client.removeLater(self)
    } else {
      client.detach(self)
      if isDeferred {
        EventLoop.shared.atEndOfTurn { self.end(CURLE_OK) }
      } else {
        end(CURLE_OK)
      }
    }
  }

  // MARK: what libcurl says

  /// One header line, or the empty line after the last one.
  /// - Returns: whether to go on.
  func receivedHeader(_ line: UnsafeRawBufferPointer) -> Bool {
    guard verdict == nil, state == .running else { return false }
    // No timeout runs from the lines after the first one.
    if firstByteAt == nil { firstByteAt = Monotonic.now() }
    if Transfer.isRetryAfter(line) { hasRetryAfter = true }
    headerBytes += line.count
    guard headerBytes <= limits.headerBytesMax else {
      fail(HTTPFailure(.headerTooLarge), isDeferred: true)
      return false
    }
    guard head == nil, line.first == 0x0d || line.first == 0x0a else { return true }
    let status = easy.long(CURLINFO_RESPONSE_CODE)
    // 1xx announces another head.
    guard status >= 200 else { return true }
    let head = HTTPHead(
      status: status, retryAfterSeconds: hasRetryAfter ? retryAfterSeconds() : nil,
      contentType: easy.string(CURLINFO_CONTENT_TYPE))
    self.head = head
    handler?.transfer(self, received: head)
    return verdict == nil
  }

  /// Whether a header line is `Retry-After`. libcurl knows as well, and takes five times as long to say so.
  private static func isRetryAfter(_ line: UnsafeRawBufferPointer) -> Bool {
    let name: StaticString = "retry-after:"
    guard line.count >= name.utf8CodeUnitCount, line[0] | 0x20 == UInt8(ascii: "r") else { return false }
    return name.withUTF8Buffer { name in zip(name, line).allSatisfy { $0 == $1 | 0x20 } }
  }

  private func retryAfterSeconds() -> Int {
    min(max(0, easy.offset(CURLINFO_RETRY_AFTER)), Self.retryAfterSecondsMax)
  }

  /// A piece of the body.
  /// - Returns: whether to go on.
  func receivedBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard verdict == nil, state == .running else { return false }
    lastByteAt = Monotonic.now()
    bodyBytes += bytes.count
    guard bodyBytes <= limits.responseBytesMax else {
      fail(HTTPFailure(.tooLarge), isDeferred: true)
      return false
    }
    handler?.transfer(self, received: bytes)
    return verdict == nil
  }

  /// Tells the handler how it ended; only once the easy handle is detached.
  func end(_ result: CURLcode) {
    guard state == .detached else { return }
    state = .ended
    timer?.cancel()
    timer = nil
    let handler = handler
    self.handler = nil
    handler?.transfer(self, ended: outcome(result))
  }

  private func outcome(_ result: CURLcode) -> Result<HTTPSummary, HTTPFailure> {
    if let verdict { return .failure(verdict) }
    guard result == CURLE_OK else { return .failure(HTTPFailure(result, hasHead: head != nil)) }
    // Libcurl takes a head that breaks off for a whole one.
    guard let head else { return .failure(HTTPFailure(.truncated, message: "the head broke off")) }
    return .success(
      HTTPSummary(
        status: head.status, firstByteMicroseconds: microseconds(to: firstByteAt ?? lastByteAt),
        totalMicroseconds: microseconds(to: Monotonic.now()), bodyBytes: bodyBytes,
        reusedConnection: reusedConnection))
  }

  /// Set when libcurl reported the end, before the easy handle is given back.
  var reusedConnection = false

  private func microseconds(to moment: Monotonic) -> Int {
    (moment.nanoseconds - startedAt.nanoseconds) / 1000
  }

  // MARK: time

  /// The next moment at which a timeout may pass, and which it is. Bytes only move `lastByteAt`; the timer
  /// looks at it when it fires and sets itself again, so a token costs no timer.
  private func nextDeadline() -> (at: Monotonic, code: HTTPFailure.Code) {
    let total = startedAt.advanced(milliseconds: timeouts.totalMilliseconds)
    let content =
      contentCame
      ? lastByteAt.advanced(milliseconds: timeouts.stallMilliseconds)
      : startedAt.advanced(milliseconds: timeouts.firstContentMilliseconds)
    guard content < total else { return (total, .totalTimeout) }
    return (content, contentCame ? .stallTimeout : .firstContentTimeout)
  }

  /// Sets the timer unless it fires early enough already.
  private func armTimer() {
    let deadline = nextDeadline().at
    guard deadline < timerDeadline else { return }
    timer?.cancel()
    timerDeadline = deadline
    timer = EventLoop.shared.at(deadline) { self.timerFired() }
  }

  private func timerFired() {
    timer = nil
    timerDeadline = Monotonic(nanoseconds: .max)
    guard state == .running, verdict == nil else { return }
    let next = nextDeadline()
    let now = Monotonic.now()
    guard next.at <= now else {
      looksAgain = false
      armTimer()
      return
    }
    guard !looksAgain, now.milliseconds(since: next.at) >= Self.lateMilliseconds else {
      fail(HTTPFailure(next.code), isDeferred: false)
      return
    }
    // The loop was held up, so bytes that came meanwhile are not read yet: the server must not be blamed
    // for that. A timer that is due waits for the next turn, which reads first.
    looksAgain = true
    timerDeadline = now
    timer = EventLoop.shared.at(now) { self.timerFired() }
  }
}
