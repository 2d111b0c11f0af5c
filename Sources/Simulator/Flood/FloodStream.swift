import Common

/// One answer of a flood.
@IO final class FloodStream: TickTarget {
  private static let end = [UInt8]("data: [DONE]\n\n".utf8)
  private static let bomb = FloodFault.bombBody(copies: 40_000)

  private let chunks: PreparedChunks
  private let schedule: TokenSchedule
  private let fault: FloodFault?
  private let connection: HTTPConnection
  private let started: Monotonic
  private var sent = 0
  private var journal: FloodJournal?
  private var seed = -1

  /// - Parameter phaseMilliseconds: how much earlier its second token comes than the schedule says.
  init(
    _ chunks: PreparedChunks, _ schedule: TokenSchedule, _ phaseMilliseconds: Int, fault: FloodFault?,
    on connection: HTTPConnection
  ) {
    started = Monotonic.now().advanced(milliseconds: -phaseMilliseconds)
    self.chunks = chunks
    self.schedule = schedule
    self.fault = fault
    self.connection = connection
  }

  /// Notes the answer's beginning now, and its end when it comes.
  func note(in journal: FloodJournal, seed: Int) {
    self.journal = journal
    self.seed = seed
    journal.note("began", seed: seed, tokens: 0)
    // The connection holds this stream until its answer ends, one way or the other.
    connection.onDisconnect = { [self] in journal.note("left", seed: seed, tokens: sent) }
  }

  func begin(on wheel: TickWheel) {
    switch fault {
    case .bomb: connection.beginStream(contentEncoding: "gzip")
    default: connection.beginStream()
    }
    if let next = tick(now: Monotonic.now()) { wheel.add(self, at: next) }
  }

  func tick(now: Monotonic) -> Monotonic? {
    guard connection.isOpen else { return nil }
    switch fault {
    case .drip: return drip(now: now)
    case .bomb: return explode(now: now)
    default: break
    }
    let elapsed = now.milliseconds(since: started)
    let due = schedule.due(after: elapsed)
    connection.sendPrepared(chunks.chunks(sent..<due))
    sent = due
    guard connection.isOpen else { return nil }
    if let fault, sent >= (schedule.count + 1) / 2 {
      switch fault {
      case .stall: return nil
      case .reset:
        connection.reset()
        return nil
      case .endless: return endless(now: now)
      case .drip, .bomb, .http500: break
      }
    }
    guard sent == schedule.count else {
      return started.advanced(milliseconds: schedule.milliseconds(ofToken: sent))
    }
    connection.sendChunk(FloodStream.end)
    connection.endStream()
    journal?.note("ended", seed: seed, tokens: sent)
    return nil
  }

  // MARK: faults

  private func drip(now: Monotonic) -> Monotonic? {
    let first = Array(chunks.chunks(0..<1))
    guard sent < first.count else { return nil }
    connection.sendPrepared(first[sent...sent])
    sent += 1
    return now.advanced(milliseconds: 1_000)
  }

  private func endless(now: Monotonic) -> Monotonic? {
    connection.sendPrepared(chunks.chunks(0..<1))
    return now.advanced(milliseconds: 5)
  }

  private func explode(now: Monotonic) -> Monotonic? {
    connection.sendChunk((sent == 0 ? FloodFault.bombHead : []) + FloodStream.bomb)
    sent += 1
    return now.advanced(milliseconds: 20)
  }
}
