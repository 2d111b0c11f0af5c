extension HTTPClient {
  /// Sends a request and reads the whole response. Its first content is the first byte of the body. A
  /// cancelled task closes the socket.
  /// - Throws: why there is no complete response. Any status code is a response.
  public func fetch(
    _ request: HTTPRequest, timeouts: HTTPTimeouts, limits: HTTPLimits
  ) async throws(HTTPFailure) -> HTTPResponse {
    guard !Task.isCancelled else { throw HTTPFailure(.cancelled) }
    let collector = ResponseCollector()
    let transfer = start(request, timeouts: timeouts, limits: limits, handler: collector)
    await collector.ended.wait()
    guard let result = collector.result else {
      // The wait ended early: the task was cancelled.
      transfer.cancel()
      throw HTTPFailure(.cancelled)
    }
    return try result.get()
  }
}

/// Keeps what a transfer receives.
@IO
private final class ResponseCollector: TransferHandler {
  let ended = Signal()
  var result: Result<HTTPResponse, HTTPFailure>?
  private var head: HTTPHead?
  private var body: [UInt8] = []

  func transfer(_ transfer: Transfer, received head: HTTPHead) { self.head = head }

  func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer) {
    transfer.contentArrived()
    body.append(contentsOf: bytes)
  }

  func transfer(_ transfer: Transfer, ended result: Result<HTTPSummary, HTTPFailure>) {
    self.result = result.map { [body] in
      // Success implies a head.
      HTTPResponse(head: head ?? HTTPHead(status: $0.status), body: body, summary: $0)
    }
    ended.fire()
  }
}
