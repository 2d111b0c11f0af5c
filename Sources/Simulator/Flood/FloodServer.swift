import Common

/// A load source for benchmarks: answers at next to no cost, so that what is measured is the client.
///
/// As a stream it answers every `POST` with the same chat chunks on a fixed schedule, written from one
/// prepared buffer. In plain mode it answers every request at once with the same 200 bytes of JSON.
@IO final class FloodServer {
  /// What a flood answers.
  enum Mode {
    /// `count` tokens, `tokensPerSecond` of them a second; 0 sends all at once.
    case stream(tokensPerSecond: Double, count: Int)
    /// One whole answer.
    case plain
  }

  /// Most tokens of one answer.
  nonisolated static let tokensMax = 100_000
  /// Bytes of the plain answer's body.
  static let plainLength = 200

  private let wheel = TickWheel(tickMilliseconds: 1)
  private var server: HTTPServer?

  /// The port that the server is bound to.
  var port: Int { server?.port ?? 0 }

  /// Binds to `port`; 0 lets the kernel choose. Throws ``ServerError``.
  init(_ mode: Mode, port: Int) throws {
    let plain = FloodServer.plainAnswer()
    let wheel = wheel
    switch mode {
    case .plain:
      server = try HTTPServer(port: port) { _, connection in connection.respondPrepared(plain) }
    case .stream(let rate, let count):
      let chunks = PreparedChunks(count: min(count, FloodServer.tokensMax))
      let schedule = TokenSchedule(firstMilliseconds: 0, tokensPerSecond: rate, count: chunks.count)
      var streams = 0
      server = try HTTPServer(port: port) { request, connection in
        guard request.method == "POST" else { return connection.respondPrepared(plain) }
        streams += 1
        let phase = FloodServer.phaseMilliseconds(ofStream: streams, tokensPerSecond: rate)
        FloodStream(chunks, schedule, phase, on: connection).begin(on: wheel)
      }
    }
  }

  /// Begins to serve. Throws ``ServerError``.
  func start() throws { try server?.start() }

  /// Many streams that begin together must not send together for ever: each one's second token comes earlier
  /// by a share of the distance between tokens, and the shares fill it evenly (multiples of the golden ratio).
  private static func phaseMilliseconds(ofStream number: Int, tokensPerSecond: Double) -> Int {
    guard tokensPerSecond > 0 else { return 0 }
    let share = (Double(number) * 0.618_033_988_75).truncatingRemainder(dividingBy: 1)
    return Int(share * 1000 / tokensPerSecond)
  }

  /// Closes everything.
  func stop() {
    server?.stop()
    server = nil
  }

  private static func plainAnswer() -> [UInt8] {
    let start = "{\"status\":\"ok\",\"image_b64\":\""
    let body = start + String(repeating: "x", count: plainLength - start.utf8.count - 2) + "\"}"
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \(plainLength)\r\n\r\n"
    return Array((head + body).utf8)
  }
}

/// Equal HTTP chunks one after the other, each with one event of one token, so that any number of them
/// is one slice.
struct PreparedChunks {
  let count: Int
  private let length: Int
  private let bytes: [UInt8]

  init(count: Int) {
    var event: [UInt8] = []
    let format = ChunkFormat(id: "chatcmpl-flood", model: "flood", isChat: true)
    format.append(SampledToken(index: 0, logprobThousandths: -20), to: &event)
    let chunk = Array("\(String(event.count, radix: 16))\r\n".utf8) + event + [13, 10]
    self.count = count
    length = chunk.count
    bytes = Array(repeatElement(chunk, count: count).joined())
  }

  /// The bytes of `number` chunks.
  func chunks(_ number: Int) -> ArraySlice<UInt8> { bytes[..<(number * length)] }
}

/// One answer of a flood.
@IO private final class FloodStream: TickTarget {
  private static let end = [UInt8]("data: [DONE]\n\n".utf8)

  private let chunks: PreparedChunks
  private let schedule: TokenSchedule
  private let connection: HTTPConnection
  private let started: Monotonic
  private var sent = 0

  init(
    _ chunks: PreparedChunks, _ schedule: TokenSchedule, _ phaseMilliseconds: Int,
    on connection: HTTPConnection
  ) {
    started = Monotonic.now().advanced(milliseconds: -phaseMilliseconds)
    self.chunks = chunks
    self.schedule = schedule
    self.connection = connection
  }

  func begin(on wheel: TickWheel) {
    connection.beginStream()
    if let next = tick(now: Monotonic.now()) { wheel.add(self, at: next) }
  }

  func tick(now: Monotonic) -> Monotonic? {
    guard connection.isOpen else { return nil }
    let due = schedule.due(after: now.milliseconds(since: started))
    connection.sendPrepared(chunks.chunks(due - sent))
    sent = due
    guard connection.isOpen else { return nil }
    guard sent == schedule.count else {
      return started.advanced(milliseconds: schedule.milliseconds(ofToken: sent))
    }
    connection.sendChunk(FloodStream.end)
    connection.endStream()
    return nil
  }
}
