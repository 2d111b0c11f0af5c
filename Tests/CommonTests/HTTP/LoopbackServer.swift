import Foundation
import Glibc
import Synchronization

@testable import Common

/// A server on loopback: real sockets, one thread for each connection, and whatever bytes a test wants.
final class LoopbackServer: Sendable {
  let port: Int
  private let listener: Int32
  private let accepted = Atomic<Int>(0)

  /// Listens at once.
  /// - Parameter serve: called for each connection, on its own thread; the connection is closed after it.
  init(_ serve: @escaping @Sendable (ServerConnection) -> Void) {
    (listener, port) = Self.listen(backlog: 1024)
    let listener = listener
    // The thread closes the listener, and nobody else: its number may belong to the next server at once, whose
    // connections a thread that still waits here would take.
    Thread.detachNewThread { [weak self] in
      defer { Glibc.close(listener) }
      while true {
        let fd = accept(listener, nil, nil)
        guard fd >= 0 else { return }
        guard let self else {
          Glibc.close(fd)
          return
        }
        let number = self.accepted.add(1, ordering: .relaxed).newValue
        Thread.detachNewThread {
          let connection = ServerConnection(fd: fd, number: number)
          serve(connection)
          connection.close()
        }
      }
    }
  }

  /// Makes the waiting `accept` fail, and any later one.
  deinit { shutdown(listener, Int32(SHUT_RDWR)) }

  /// Connections accepted so far.
  var connections: Int { accepted.load(ordering: .relaxed) }

  func url(_ path: String = "/") -> String { "http://127.0.0.1:\(port)\(path)" }

  /// A listening socket on a free port.
  static func listen(backlog: Int32) -> (fd: Int32, port: Int) {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        precondition(bind(fd, $0, length) == 0 && Glibc.listen(fd, backlog) == 0)
        precondition(getsockname(fd, $0, &length) == 0)
      }
    }
    return (fd, Int(UInt16(bigEndian: address.sin_port)))
  }
}

/// One accepted connection, used by its own thread only.
final class ServerConnection {
  let fd: Int32
  /// 1 for the server's first connection.
  let number: Int
  private var isOpen = true

  init(fd: Int32, number: Int) {
    self.fd = fd
    self.number = number
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Reads a request, its body included; nil when the client closed.
  func readRequest() -> String? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let end = text.range(of: "\r\n\r\n") {
        let head = text[..<end.lowerBound].lowercased()
        let length =
          head.range(of: "content-length: ").flatMap { Int(head[$0.upperBound...].prefix { $0.isNumber }) }
        let headBytes = text[..<end.upperBound].utf8.count
        if bytes.count >= headBytes + (length ?? 0) { return text }
      }
      let count = recv(fd, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes.append(contentsOf: buffer[..<count])
    }
  }

  /// Sends text; false when the client has closed.
  @discardableResult func send(_ text: String) -> Bool { send(bytes: Array(text.utf8)) }

  /// The same for any bytes.
  @discardableResult func send(bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Answers with a body of known length.
  @discardableResult func respond(_ status: String = "200 OK", headers: String = "", body: String = "")
    -> Bool
  {
    send("HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
  }

  /// Starts a chunked stream of events.
  func startStream() {
    send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
  }

  /// Sends one chunk of a chunked body; an empty one ends it.
  @discardableResult func sendChunk(_ text: String) -> Bool {
    send(String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n")
  }

  /// Waits until the client closes or resets: true; false after 30 s.
  func waitForClose() -> Bool {
    var byte: UInt8 = 0
    while true {
      let count = recv(fd, &byte, 1, 0)
      if count == 0 { return true }
      if count < 0 { return errno != EAGAIN && errno != EWOULDBLOCK }
    }
  }

  func close() {
    guard isOpen else { return }
    isOpen = false
    Glibc.close(fd)
  }
}

/// A signal that server threads fire and tests on the loop await.
struct Flag: Sendable {
  private let signal = Signal()

  func raise() {
    let signal = signal
    Task { @IO in signal.fire() }
  }

  @IO func wait() async { await signal.wait() }
}
