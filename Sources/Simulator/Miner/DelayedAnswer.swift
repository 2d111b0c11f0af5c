import Common

/// Sends one whole answer when its time has come.
@IO final class DelayedAnswer: TickTarget {
  private let answer: WholeAnswer
  private let connection: HTTPConnection
  private var onEnd: (@IO (_ completed: Bool) -> Void)?

  /// Sends `answer`; `onEnd` as in ``TextStream``.
  init(
    _ answer: WholeAnswer, on connection: HTTPConnection, wheel: TickWheel,
    onEnd: @escaping @IO (_ completed: Bool) -> Void
  ) {
    self.answer = answer
    self.connection = connection
    self.onEnd = onEnd
    if answer.afterMilliseconds > 0 {
      connection.onDisconnect = { [weak self] in self?.end(completed: false) }
      wheel.add(self, afterMilliseconds: answer.afterMilliseconds)
    } else {
      send()
    }
  }

  func tick(now: Monotonic) -> Monotonic? {
    if connection.isOpen { send() }
    return nil
  }

  private func send() {
    let kept = answer.isTruncated ? Array(answer.body.prefix(answer.body.count / 2)) : answer.body
    end(completed: true)
    connection.respond(
      status: answer.status, contentType: answer.contentType, headers: answer.headers, body: kept,
      declaring: answer.body.count, closing: answer.isTruncated)
  }

  private func end(completed: Bool) {
    let action = onEnd
    onEnd = nil
    action?(completed)
  }
}
