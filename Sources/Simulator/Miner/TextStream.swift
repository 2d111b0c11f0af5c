import Common

/// Sends one planned stream: at each tick the tokens that became due, in one write.
@IO final class TextStream: TickTarget {
  private static let errorEvent =
    "data: {\"error\":{\"message\":\"engine died\",\"type\":\"server_error\",\"code\":500}}\n\n"
  private static let brokenEvent = "data: {\"choices\":[{\"delta\":{\"content\":\n\n"

  private let plan: StreamPlan
  private let connection: HTTPConnection
  private let started = Monotonic.now()
  private var sentTokens = 0
  private var isBegun = false
  /// The end of a write that was cut inside a character.
  private var carried: [UInt8] = []
  private var stalledUntil: Monotonic?
  private var onEnd: (@IO (_ completed: Bool) -> Void)?

  /// Sends `plan`; `onEnd` is called once: with true when the plan was carried out, with false when the
  /// client left before.
  init(
    _ plan: StreamPlan, on connection: HTTPConnection, wheel: TickWheel,
    onEnd: @escaping @IO (_ completed: Bool) -> Void
  ) {
    self.plan = plan
    self.connection = connection
    self.onEnd = onEnd
    connection.onDisconnect = { [weak self] in self?.end(completed: false) }
    wheel.add(self, afterMilliseconds: plan.schedule.firstMilliseconds)
  }

  private func end(completed: Bool) {
    let action = onEnd
    onEnd = nil
    action?(completed)
  }

  func tick(now: Monotonic) -> Monotonic? {
    guard connection.isOpen else { return nil }
    if let until = stalledUntil {
      guard now >= until else { return until }
      return close()
    }
    var bytes = carried
    carried = []
    if !isBegun {
      isBegun = true
      connection.beginStream()
      if plan.dialect.framesWithEmptyChunks { plan.format.appendFrame(finishReason: nil, to: &bytes) }
    }
    let due = plan.schedule.due(after: now.milliseconds(since: started))
    for token in plan.tokens[sentTokens..<due] { plan.format.append(token, to: &bytes) }
    let isNew = due > sentTokens
    sentTokens = due
    if plan.dialect.splitsCharacters, isNew, let cut = bytes.lastIndex(where: { $0 & 0xc0 == 0x80 }) {
      carried = Array(bytes[cut...])
      bytes.removeSubrange(cut...)
    }
    connection.sendChunk(bytes)
    guard connection.isOpen else { return nil }
    // The other half of a character follows in a write of its own.
    guard carried.isEmpty else { return now.advanced(milliseconds: 1) }
    guard sentTokens == plan.tokens.count else {
      return started.advanced(milliseconds: plan.schedule.milliseconds(ofToken: sentTokens))
    }
    return finish(now: now)
  }

  private func finish(now: Monotonic) -> Monotonic? {
    switch plan.ending {
    case .closes: return close()
    case .stalls:
      stalledUntil = now.advanced(milliseconds: MinerAnswer.stallMilliseconds)
      return stalledUntil
    case .error: connection.sendChunk(Array(TextStream.errorEvent.utf8))
    case .brokenJSON: connection.sendChunk(Array(TextStream.brokenEvent.utf8))
    case .complete:
      var bytes: [UInt8] = []
      if plan.dialect.framesWithEmptyChunks { plan.format.appendFrame(finishReason: "stop", to: &bytes) }
      if plan.dialect.sendsDone { bytes += "data: [DONE]\n\n".utf8 }
      connection.sendChunk(bytes)
    }
    guard connection.isOpen else { return nil }
    connection.endStream()
    end(completed: true)
    return nil
  }

  private func close() -> Monotonic? {
    connection.abandon()
    end(completed: true)
    return nil
  }
}
