import Foundation
import Glibc

@testable import Common

/// One answer as it came over the wire.
struct Reply: Sendable {
  var status = 0
  var head = ""
  var body: [UInt8] = []
  /// The pieces in which the body was read, chunk framing removed.
  var chunks: [[UInt8]] = []
  /// Whether the announced length, or the final chunk, was reached.
  var isComplete = false
  /// From before the connection was made to the end of the answer.
  var milliseconds = 0

  var text: String { String(decoding: body, as: UTF8.self) }
  var json: JSON? { try? JSON(parsing: Data(body)) }

  /// How many events there are, `[DONE]` included. Cheap, unlike ``events``.
  var eventCount: Int { text.components(separatedBy: "data: ").count - 1 }

  /// The data of every event, parsed; texts that are no JSON (such as `[DONE]`) as strings.
  var events: [JSON] {
    text.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: ") }.map { event in
      let data = String(event.dropFirst(6))
      return (try? JSON(parsing: Data(data.utf8))) ?? .string(data)
    }
  }
}

/// A client of plain blocking sockets. Its calls run on threads of their own, so that they can wait for a
/// server on the loop.
struct BlockingClient: Sendable {
  let port: Int
  /// Long enough for a machine that does much else.
  var readTimeoutSeconds = 120

  /// Sends a request on a new connection. Status 0: no connection, or no answer at all.
  func send(_ method: String, _ path: String, _ body: String = "", readAtMost: Int = .max) async -> Reply {
    let bytes = Array(
      "\(method) \(path) HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    return await onThread {
      let started = Monotonic.now()
      guard let socket = open() else { return Reply() }
      defer { close(socket) }
      _ = bytes.withUnsafeBytes { write(socket, $0.baseAddress, $0.count) }
      var rest: [UInt8] = []
      var reply = receive(socket, rest: &rest, readAtMost: readAtMost)
      reply.milliseconds = Monotonic.now().milliseconds(since: started)
      return reply
    }
  }

  /// Sends a request, waits for the first bytes of its answer and keeps the connection open; nil when it
  /// cannot. The caller closes what it gets.
  func hold(_ path: String, _ body: String) async -> Int32? {
    let text = "POST \(path) HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
    return await onThread {
      guard let socket = open() else { return nil }
      _ = write(socket, text, text.utf8.count)
      var byte: UInt8 = 0
      guard read(socket, &byte, 1) == 1 else {
        close(socket)
        return nil
      }
      return socket
    }
  }

  /// Writes `pieces` as they are on one connection, then reads `replies` answers.
  func raw(_ pieces: [String], replies: Int) async -> [Reply] {
    await onThread {
      guard let socket = open() else { return [] }
      defer { close(socket) }
      for piece in pieces { _ = write(socket, piece, piece.utf8.count) }
      var rest: [UInt8] = []
      return (0..<replies).map { _ in receive(socket, rest: &rest, readAtMost: .max) }
    }
  }

  private func onThread<T: Sendable>(_ work: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: work()) }
    }
  }

  private func open() -> Int32? {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: readTimeoutSeconds, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else {
      close(socket)
      return nil
    }
    return socket
  }

  private func receive(_ socket: Int32, rest: inout [UInt8], readAtMost: Int) -> Reply {
    var reply = Reply()
    while !reply.take(&rest), reply.body.count < readAtMost {
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = read(socket, &buffer, buffer.count)
      guard count > 0 else { break }
      rest += buffer[..<count]
    }
    return reply
  }
}

extension Reply {
  /// Moves what is complete from `bytes` into the reply; true when the answer is complete.
  mutating func take(_ bytes: inout [UInt8]) -> Bool {
    if head.isEmpty {
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return false }
      head = String(decoding: bytes[..<end.upperBound], as: UTF8.self).lowercased()
      bytes.removeSubrange(..<end.upperBound)
      status = Int(head.split(separator: " ")[1]) ?? 0
    }
    guard head.contains("transfer-encoding: chunked") else {
      let after = head.components(separatedBy: "content-length: ").last ?? ""
      let length = Int(after.prefix { $0.isNumber }) ?? 0
      let taken = min(bytes.count, length - body.count)
      body += bytes[..<taken]
      bytes.removeSubrange(..<taken)
      isComplete = body.count == length
      return isComplete
    }
    var start = 0
    defer { bytes.removeSubrange(..<start) }
    while let end = bytes[start...].firstIndex(of: 10) {
      let size = Int(String(decoding: bytes[start..<(end - 1)], as: UTF8.self), radix: 16) ?? 0
      guard bytes.count >= end + 1 + size + 2 else { return false }
      chunks.append(Array(bytes[(end + 1)...].prefix(size)))
      body += chunks[chunks.count - 1]
      start = end + 1 + size + 2
      if size == 0 { isComplete = true }
      if isComplete { return true }
    }
    return false
  }
}
