import Common
import Glibc

/// An HTTP/1.1 server for one port of 127.0.0.1: keep-alive, bodies with a length, whole or chunked
/// answers. No TLS, no pipelining beyond what is buffered, no chunked requests: its clients are our own.
///
/// It is first bound, which fixes its port, and then started: what is bound but not started refuses
/// connections (see ``LoopbackPort``).
@IO final class HTTPServer: ReadinessHandler {
  /// Answers one request; it must end in a complete answer or an abandoned connection.
  typealias Handler = @IO (HTTPRequest, HTTPConnection) -> Void

  /// Most connections open at a time; more wait in the kernel's backlog.
  static let connectionsMax = 16_000
  private static let backlog: Int32 = 1024
  private static let acceptsPerTurnMax = 64
  /// How long accepting pauses when descriptors or connections run out.
  private static let pauseMilliseconds = 50

  /// The port that it is bound to.
  var port: Int { socket.number }
  private let socket: LoopbackPort
  private let handler: Handler
  private var registration: EventLoop.Registration?
  private var connections: [ObjectIdentifier: HTTPConnection] = [:]
  /// Bytes written to all clients.
  var bytesSent = 0
  /// Connections that clients closed while an answer was under way.
  var disconnects = 0

  /// Connections that are open now.
  var connectionCount: Int { connections.count }

  /// Binds to `port` of 127.0.0.1; 0 lets the kernel choose.
  /// - Throws: ``LoopbackPort/Failure``.
  init(port wanted: Int, handler: @escaping Handler) throws {
    socket = try LoopbackPort(wanted)
    self.handler = handler
  }

  /// Begins to accept connections.
  /// - Throws: ``LoopbackPort/Failure``.
  func start() throws {
    try socket.listen(backlog: HTTPServer.backlog)
    registration = EventLoop.shared.register(socket.fd, events: EventLoop.readable, handler: self)
  }

  /// Closes the port and every connection. Call it once, whether started or not.
  func stop() {
    if let registration { EventLoop.shared.unregister(registration) }
    registration = nil
    socket.close()
    for connection in connections.values { connection.close() }
  }

  /// Takes what the kernel accepted, a bounded number per turn so that open streams are not held up.
  func fileIsReady(_ events: UInt32) {
    for _ in 0..<HTTPServer.acceptsPerTurnMax {
      guard connections.count < HTTPServer.connectionsMax else { return pauseAccepting() }
      let client = accept(socket.fd, nil, nil)
      guard client >= 0 else {
        if errno == EMFILE || errno == ENFILE { pauseAccepting() }
        return
      }
      _ = fcntl(client, F_SETFL, O_NONBLOCK)
      let connection = HTTPConnection(fd: client, server: self)
      connections[ObjectIdentifier(connection)] = connection
    }
  }

  /// A full table stays readable: without a pause the loop would spin.
  private func pauseAccepting() {
    guard let registration else { return }
    EventLoop.shared.modify(registration, events: 0)
    _ = EventLoop.shared.after(milliseconds: HTTPServer.pauseMilliseconds) { [weak self] in
      guard let self, let registration = self.registration else { return }
      EventLoop.shared.modify(registration, events: EventLoop.readable)
    }
  }

  func handle(_ request: HTTPRequest, on connection: HTTPConnection) { handler(request, connection) }

  func forget(_ connection: HTTPConnection) { connections[ObjectIdentifier(connection)] = nil }
}
