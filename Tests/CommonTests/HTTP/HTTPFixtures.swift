@testable import Common

extension HTTPTimeouts {
  static func make(
    connect: Int = 20_000, firstContent: Int = 30_000, stall: Int = 30_000, total: Int = 60_000
  ) -> HTTPTimeouts {
    HTTPTimeouts(
      connectMilliseconds: connect, firstContentMilliseconds: firstContent, stallMilliseconds: stall,
      totalMilliseconds: total)
  }
}

extension HTTPLimits {
  static func make(body: Int = 1 << 20, header: Int = 16 * 1024) -> HTTPLimits {
    HTTPLimits(responseBytesMax: body, headerBytesMax: header)
  }
}

extension HTTPClient {
  /// The result of a whole request; what a test looks at when it expects a failure.
  func outcome(
    _ url: String, timeouts: HTTPTimeouts = .make(), limits: HTTPLimits = .make()
  ) async -> Result<HTTPResponse, HTTPFailure> {
    do throws(HTTPFailure) {
      return .success(try await fetch(.init(method: .get, url: url), timeouts: timeouts, limits: limits))
    } catch {
      return .failure(error)
    }
  }

  func failure(
    _ url: String, timeouts: HTTPTimeouts = .make(), limits: HTTPLimits = .make()
  ) async -> HTTPFailure.Code? {
    guard case .failure(let failure) = await outcome(url, timeouts: timeouts, limits: limits) else {
      return nil
    }
    return failure.code
  }
}

/// Reads events from a transfer as a worker does, and remembers everything.
@IO final class EventCollector: TransferHandler {
  var parser = SSEParser(eventBytesMax: 1 << 16)
  var head: HTTPHead?
  var events: [String] = []
  var result: Result<HTTPSummary, HTTPFailure>?
  var endings = 0
  var receivedAfterEnd = false
  let ended = Signal()
  let first = Signal()
  /// Called inside libcurl's callback, after each piece.
  var onBytes: ((Transfer, EventCollector) -> Void)?
  var onHead: ((Transfer) -> Void)?

  func transfer(_ transfer: Transfer, received head: HTTPHead) {
    self.head = head
    onHead?(transfer)
  }

  func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer) {
    if result != nil { receivedAfterEnd = true }
    try? parser.feed(bytes) { events.append(String(decoding: $0, as: UTF8.self)) }
    if !events.isEmpty {
      transfer.contentArrived()
      first.fire()
    }
    onBytes?(transfer, self)
  }

  func transfer(_ transfer: Transfer, ended result: Result<HTTPSummary, HTTPFailure>) {
    self.result = result
    endings += 1
    ended.fire()
  }

  var failure: HTTPFailure.Code? {
    guard case .failure(let failure)? = result else { return nil }
    return failure.code
  }
}
