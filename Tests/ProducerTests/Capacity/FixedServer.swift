import Foundation
import Glibc

/// A server on loopback that reads each request's head and answers with the same bytes, or with silence.
final class FixedServer: Sendable {
  let port: Int
  private let listener: Int32

  /// Listens at once. Without an answer it keeps connections open and says nothing.
  init(_ answer: String?) {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        precondition(bind(fd, $0, length) == 0 && listen(fd, 128) == 0)
        precondition(getsockname(fd, $0, &length) == 0)
      }
    }
    listener = fd
    port = Int(UInt16(bigEndian: address.sin_port))
    // The thread closes the listener: a number that is closed elsewhere may be the next server's at once.
    Thread.detachNewThread {
      defer { close(fd) }
      while case let connection = accept(fd, nil, nil), connection >= 0 {
        Thread.detachNewThread { Self.serve(connection, answer) }
      }
    }
  }

  deinit { shutdown(listener, Int32(SHUT_RDWR)) }

  var address: String { "http://127.0.0.1:\(port)" }

  /// A whole response.
  static func response(_ body: String, status: String = "200 OK") -> String {
    "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
  }

  private static func serve(_ connection: Int32, _ answer: String?) {
    defer { close(connection) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    guard recv(connection, &buffer, buffer.count, 0) > 0 else { return }
    var rest = Array((answer ?? "").utf8)[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { return }
      rest = rest.dropFirst(sent)
    }
    // The client closes first: closing with unread bytes would reset the connection under its answer.
    if answer != nil { shutdown(connection, Int32(SHUT_WR)) }
    while recv(connection, &buffer, buffer.count, 0) > 0 {}
  }
}
