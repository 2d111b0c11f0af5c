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
  private var servers: [HTTPServer] = []

  /// Most ports of one flood.
  nonisolated static let portsMax = 4_096

  /// The ports that the server is bound to.
  var ports: [Int] { servers.map(\.port) }

  /// Binds to `port`; 0 lets the kernel choose. Throws ``LoopbackPort/Failure``.
  /// - Parameters:
  ///   - ports: to clients each is a server of its own; those after the first are the kernel's choice.
  ///   - fault: how its streams misbehave; nil for not at all.
  ///   - journal: where requests and answers are noted; tokens are numbered then.
  init(
    _ mode: Mode, port: Int, ports: Int = 1, fault: FloodFault? = nil, journal: FloodJournal? = nil
  ) throws {
    let handler = handler(mode, fault: fault, journal: journal)
    for index in 0..<ports { servers.append(try HTTPServer(port: index == 0 ? port : 0, handler: handler)) }
  }

  private func handler(_ mode: Mode, fault: FloodFault?, journal: FloodJournal?) -> HTTPServer.Handler {
    let plain = FloodServer.plainAnswer()
    let wheel = wheel
    switch mode {
    case .plain:
      return { _, connection in connection.respondPrepared(plain) }
    case .stream(let rate, let count):
      let chunks = PreparedChunks(count: min(count, FloodServer.tokensMax), areNumbered: journal != nil)
      let schedule = TokenSchedule(firstMilliseconds: 0, tokensPerSecond: rate, count: chunks.count)
      var streams = 0
      return { request, connection in
        guard request.method == "POST" else { return connection.respondPrepared(plain) }
        if fault == .http500 { return connection.respond(status: 500, body: Array("{}".utf8)) }
        streams += 1
        let phase = FloodServer.phaseMilliseconds(ofStream: streams, tokensPerSecond: rate)
        let stream = FloodStream(chunks, schedule, phase, fault: fault, on: connection)
        if let journal { stream.note(in: journal, seed: FloodJournal.seed(of: request.body)) }
        stream.begin(on: wheel)
      }
    }
  }

  /// Begins to serve. Throws ``LoopbackPort/Failure``.
  func start() throws { for server in servers { try server.start() } }

  /// Many streams that begin together must not send together for ever: each one's second token comes earlier
  /// by a share of the distance between tokens, and the shares fill it evenly (multiples of the golden ratio).
  private static func phaseMilliseconds(ofStream number: Int, tokensPerSecond: Double) -> Int {
    guard tokensPerSecond > 0 else { return 0 }
    let share = (Double(number) * 0.618_033_988_75).truncatingRemainder(dividingBy: 1)
    return Int(share * 1000 / tokensPerSecond)
  }

  /// Closes everything.
  func stop() {
    for server in servers { server.stop() }
    servers = []
  }

  private static func plainAnswer() -> [UInt8] {
    let start = "{\"status\":\"ok\",\"image_b64\":\""
    let body = start + String(repeating: "x", count: plainLength - start.utf8.count - 2) + "\"}"
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \(plainLength)\r\n\r\n"
    return Array((head + body).utf8)
  }
}
