import Common
import Foundation
import Glibc

/// A server whose streams begin with one token and then stay open in silence.
@IO
final class HoldServer: ReadinessHandler {
  /// The argument that makes this program the server instead: `hold --port-file FILE`.
  nonisolated static let verb = "hold"

  private static let answer: [UInt8] = {
    let event =
      #"data: {"id":"hold","object":"chat.completion.chunk","created":1,"model":"bench","choices":"#
      + #"[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"logprob":-0.1}]}}]}"# + "\n\n"
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return Array("\(head)\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n".utf8)
  }()

  private let socket: LoopbackPort
  private var registration: EventLoop.Registration?

  private init() throws {
    socket = try LoopbackPort()
    try socket.listen(backlog: 4096)
  }

  /// Serves until the process ends.
  nonisolated static func main(_ arguments: [String]) -> Never {
    EventLoop.shared.reserve()
    IO.task { @IO in
      do {
        guard arguments.count == 2, arguments[0] == "--port-file" else {
          throw BenchFailure("--port-file FILE")
        }
        let server = try HoldServer()
        server.registration = EventLoop.shared.register(
          server.socket.fd, events: EventLoop.readable, handler: server)
        try "\(server.socket.number)\n".write(toFile: arguments[1], atomically: true, encoding: .utf8)
      } catch {
        FileHandle.standardError.write(Data("hold: \(error)\n".utf8))
        exit(1)
      }
    }
    EventLoop.shared.run()
    exit(0)
  }

  func fileIsReady(_ events: UInt32) {
    while true {
      let client = accept(socket.fd, nil, nil)
      guard client >= 0 else { return }
      _ = fcntl(client, F_SETFL, O_NONBLOCK)
      Stream(client).begin()
    }
  }

  /// One connection: the loop retains it until it is closed.
  @IO
  private final class Stream: ReadinessHandler {
    private let fd: Int32
    private var registration: EventLoop.Registration?
    private var hasAnswered = false

    init(_ fd: Int32) { self.fd = fd }

    func begin() { registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self) }

    func fileIsReady(_ events: UInt32) {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(fd, &buffer, buffer.count)
      if count > 0 {
        guard !hasAnswered else { return }
        hasAnswered = true
        _ = write(fd, HoldServer.answer, HoldServer.answer.count)
      } else if count == 0 || errno != EAGAIN, let registration {
        self.registration = nil
        EventLoop.shared.unregister(registration)
        close(fd)
      }
    }
  }
}
