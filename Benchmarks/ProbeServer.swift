import Common
import Foundation
import Glibc

/// A miner inside the load generator: it notes when each request's first byte arrives, and writes into each
/// token when it was sent. Requests are told apart by their seed.
@IO
final class ProbeServer: ReadinessHandler {
  static let paceMilliseconds = 100

  /// What a request gets.
  enum Answer {
    /// As many tokens as its `max_tokens` asks for: one comes at once, more come ten times a second.
    case asAsked
    case oneToken
    /// Nothing, for as long as the connection lives.
    case silence
  }

  var answer = Answer.asAsked
  /// The last arrival of each seed, and the seeds in the order of all arrivals.
  private(set) var arrivals: [Int: Monotonic] = [:]
  private(set) var order: [Int] = []
  /// Whether tokens are sent by ``step(_:)`` instead of in time.
  var isStepped = false
  private var stepped: Connection?
  private let socket: LoopbackPort
  private var registration: EventLoop.Registration?

  init() throws {
    socket = try LoopbackPort()
    try socket.listen(backlog: 1024)
    registration = EventLoop.shared.register(socket.fd, events: EventLoop.readable, handler: self)
  }

  var url: String { "http://127.0.0.1:\(socket.number)" }

  func stop() {
    if let registration { EventLoop.shared.unregister(registration) }
    registration = nil
    socket.close()
  }

  func fileIsReady(_ events: UInt32) {
    while true {
      let client = accept(socket.fd, nil, nil)
      guard client >= 0 else { return }
      _ = fcntl(client, F_SETFL, O_NONBLOCK)
      var one: Int32 = 1
      setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
      Connection(client, self).begin()
    }
  }

  /// Whether a request waits for ``step(_:)``.
  var isWaiting: Bool { stepped != nil }

  /// Sends the next tokens of the request that waits, in one write. Returns how many.
  func step(_ count: Int) -> Int {
    stepped?.sendNow(count)
    return stepped == nil ? 0 : count
  }

  fileprivate func arrived(_ seed: Int, at moment: Monotonic) {
    arrivals[seed] = moment
    order.append(seed)
  }

  /// One connection: the loop retains it until it is closed.
  @IO
  private final class Connection: ReadinessHandler {
    private static let head = Array(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".utf8)
    private let fd: Int32
    private let server: ProbeServer
    private var registration: EventLoop.Registration?
    private var input: [UInt8] = []
    private var firstByteAt: Monotonic?
    /// Tokens that are still to be sent step by step.
    private var left = 0

    init(_ fd: Int32, _ server: ProbeServer) {
      self.fd = fd
      self.server = server
    }

    func begin() { registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self) }

    func fileIsReady(_ events: UInt32) {
      var buffer = [UInt8](repeating: 0, count: 16_384)
      while true {
        let count = read(fd, &buffer, buffer.count)
        if count > 0 {
          if firstByteAt == nil { firstByteAt = Monotonic.now() }
          input += buffer[..<count]
        } else if count < 0 && errno == EAGAIN {
          return takeRequest()
        } else {
          return leave()
        }
      }
    }

    private func leave() {
      guard let registration else { return }
      self.registration = nil
      EventLoop.shared.unregister(registration)
      close(fd)
    }

    private func takeRequest() {
      let text = String(decoding: input, as: UTF8.self)
      guard let end = text.range(of: "\r\n\r\n"),
        let length = text.firstMatch(of: /[Cc]ontent-[Ll]ength: (\d+)/).flatMap({ Int($0.1) }),
        text[end.upperBound...].utf8.count >= length, let moment = firstByteAt
      else { return }
      func number(_ name: String) -> Int? {
        text.range(of: "\"\(name)\":").flatMap { Int(text[$0.upperBound...].prefix { $0.isNumber }) }
      }
      input = []
      firstByteAt = nil
      server.arrived(number("seed") ?? -1, at: moment)
      guard server.answer != .silence else { return }
      let tokens = server.answer == .oneToken ? 1 : number("max_tokens") ?? 1
      write(Connection.head)
      guard !server.isStepped else {
        left = tokens
        server.stepped = self
        return
      }
      tokens <= 1 ? finish() : send(tokens)
    }

    func sendNow(_ count: Int) {
      let tokens = (0..<count).map { _ in Connection.token() }.joined()
      left -= count
      let end = left > 0 ? [] : Connection.chunk("data: [DONE]\n\n") + Array("0\r\n\r\n".utf8)
      write(Connection.chunk(tokens) + end)
    }

    private func send(_ left: Int) {
      guard registration != nil else { return }
      guard left > 1 else { return finish() }
      writeToken()
      _ = EventLoop.shared.after(milliseconds: ProbeServer.paceMilliseconds) { self.send(left - 1) }
    }

    private func finish() {
      writeToken()
      write(Connection.chunk("data: [DONE]\n\n"))
      write(Array("0\r\n\r\n".utf8))
    }

    private func writeToken() { write(Connection.chunk(Connection.token())) }

    private static func token() -> String {
      let content = "t\(Monotonic.now().nanoseconds) "
      return #"data: {"choices":[{"index":0,"delta":{"content":"\#(content)"}}]}"# + "\n\n"
    }

    private static func chunk(_ text: String) -> [UInt8] {
      Array("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n".utf8)
    }

    private func write(_ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
  }
}
