import Common
import Glibc

/// One client's connection: reads requests one after the other and writes their answers.
///
/// An answer is either whole (``respond(status:contentType:headers:body:declaring:closing:)``,
/// ``respondPrepared(_:)``) or a stream of chunks (``beginStream(contentType:contentEncoding:)``, ``sendChunk(_:)``,
/// ``endStream()``). ``abandon()`` breaks off either.
@IO final class HTTPConnection: ReadinessHandler {
  private enum Phase {
    /// Waits for a request. Can move to: responding, closing, closed.
    case reading
    /// A handler owes the rest of an answer. Can move to: reading, closing, closed.
    case responding
    /// Closes once what is buffered was written. Can move to: closed.
    case closing
    /// The descriptor is gone.
    case closed
  }

  /// Most bytes that wait for a client that does not read; beyond them it counts as gone.
  private static let outputMax = 16 * 1024 * 1024
  private static let readsPerTurnMax = 4
  private static let continueLine = [UInt8]("HTTP/1.1 100 Continue\r\n\r\n".utf8)
  /// Shared by all connections: its bytes are copied out before the next read.
  private static var scratch = [UInt8](repeating: 0, count: 64 * 1024)

  private let fd: Int32
  private let server: HTTPServer
  private var registration: EventLoop.Registration?
  private var phase = Phase.reading
  private var input: [UInt8] = []
  private var head: HTTPHead?
  private var output: [UInt8] = []
  private var outputStart = 0
  private var waitsForRoom = false
  private var keepsAlive = true
  private var isTakingRequests = false
  /// Called once when the client leaves before the answer is complete.
  var onDisconnect: (@IO () -> Void)?

  /// Whether an answer may still be written.
  var isOpen: Bool { phase == .responding }

  init(fd: Int32, server: HTTPServer) {
    self.fd = fd
    self.server = server
    var one: Int32 = 1
    setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  func fileIsReady(_ events: UInt32) {
    if events & EventLoop.writable != 0 { flush() }
    if events & (EventLoop.readable | EventLoop.failed) != 0 { readAvailable() }
  }

  // MARK: requests

  private func readAvailable() {
    for _ in 0..<HTTPConnection.readsPerTurnMax where phase != .closed {
      let count = HTTPConnection.scratch.withUnsafeMutableBytes { read(fd, $0.baseAddress, $0.count) }
      guard count > 0 else {
        if count < 0, errno == EAGAIN || errno == EINTR { break }
        return clientLeft()
      }
      if phase != .closing { input.append(contentsOf: HTTPConnection.scratch[..<count]) }
      if count < HTTPConnection.scratch.count { break }
    }
    guard input.count <= HTTPHead.lengthMax + HTTPHead.bodyMax else { return clientLeft() }
    takeRequests()
  }

  private func takeRequests() {
    guard !isTakingRequests else { return }
    isTakingRequests = true
    defer { isTakingRequests = false }
    do throws(HTTPRefusal) {
      while phase == .reading, let request = try nextRequest() {
        phase = .responding
        keepsAlive = request.head.keepsAlive
        server.handle(request, on: self)
      }
    } catch {
      phase = .responding
      keepsAlive = false
      respond(status: error.rawValue, body: Array("{\"detail\":\"\(error)\"}".utf8))
    }
  }

  private func nextRequest() throws(HTTPRefusal) -> HTTPRequest? {
    if head == nil {
      guard let found = try HTTPHead.parse(input) else { return nil }
      head = found
      input.removeFirst(found.bytes.count)
      if found.expectsContinue, input.count < found.bodyLength { write(HTTPConnection.continueLine) }
    }
    guard let complete = head, input.count >= complete.bodyLength else { return nil }
    head = nil
    guard input.count > complete.bodyLength else {
      defer { input = [] }
      return HTTPRequest(head: complete, body: input)
    }
    let body = Array(input[..<complete.bodyLength])
    input.removeFirst(complete.bodyLength)
    return HTTPRequest(head: complete, body: body)
  }

  // MARK: answers

  /// Writes a whole answer. One that is cut short declares the length that it should have had (bytes),
  /// and closes the connection.
  func respond(
    status: Int, contentType: String = "application/json", headers: [String] = [], body: [UInt8],
    declaring: Int? = nil, closing: Bool = false
  ) {
    if closing { keepsAlive = false }
    var text = "HTTP/1.1 \(status) \(HTTPConnection.reason(status))\r\ncontent-type: \(contentType)\r\n"
    text += "content-length: \(declaring ?? body.count)\r\n"
    for header in headers { text += header + "\r\n" }
    if !keepsAlive { text += "connection: close\r\n" }
    text += "\r\n"
    respondPrepared(Array(text.utf8) + body)
  }

  /// Writes a whole answer whose bytes, head included, are ready.
  func respondPrepared(_ bytes: [UInt8]) {
    guard phase == .responding else { return }
    write(bytes)
    finishAnswer()
  }

  /// Writes the head of a chunked answer with status 200.
  func beginStream(
    contentType: String = "text/event-stream; charset=utf-8", contentEncoding: String? = nil
  ) {
    var text = "HTTP/1.1 200 OK\r\ncontent-type: \(contentType)\r\ntransfer-encoding: chunked\r\n"
    if let contentEncoding { text += "content-encoding: \(contentEncoding)\r\n" }
    if !keepsAlive { text += "connection: close\r\n" }
    write(Array((text + "\r\n").utf8))
  }

  /// Writes `bytes` as one chunk. Empty bytes write nothing, since an empty chunk ends the answer.
  func sendChunk(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    var framed = Array(String(bytes.count, radix: 16).utf8)
    framed.reserveCapacity(framed.count + bytes.count + 4)
    framed += [13, 10]
    framed += bytes
    framed += [13, 10]
    write(framed)
  }

  /// Writes chunks that are framed already.
  func sendPrepared(_ bytes: ArraySlice<UInt8>) { write(bytes) }

  /// Ends a chunked answer.
  func endStream() {
    guard phase == .responding else { return }
    write(Array("0\r\n\r\n".utf8))
    finishAnswer()
  }

  /// Breaks the answer off: what was written goes out, then the connection closes.
  func abandon() {
    guard phase == .responding else { return }
    phase = .closing
    onDisconnect = nil
    flush()
  }

  private func finishAnswer() {
    guard phase == .responding else { return }
    onDisconnect = nil
    guard keepsAlive else {
      phase = .closing
      return flush()
    }
    phase = .reading
    if !input.isEmpty { takeRequests() }
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: return "OK"
    case 404: return "Not Found"
    case 422: return "Unprocessable Entity"
    case 429: return "Too Many Requests"
    case 500: return "Internal Server Error"
    default: return "Status \(status)"
    }
  }

  // MARK: writing and closing

  private func write(_ bytes: some Collection<UInt8>) {
    guard phase == .responding || phase == .reading else { return }
    if output.isEmpty {
      let sent = bytes.withContiguousStorageIfAvailable { send(UnsafeRawBufferPointer($0)) } ?? 0
      guard sent >= 0 else { return clientLeft() }
      guard sent < bytes.count else { return }
      output.append(contentsOf: bytes.dropFirst(sent))
    } else {
      output.append(contentsOf: bytes)
    }
    guard output.count - outputStart <= HTTPConnection.outputMax else { return clientLeft() }
    waitForRoom(true)
  }

  /// Writes what is buffered, and closes a connection that only waited for that.
  private func flush() {
    if !output.isEmpty {
      let sent = output.withUnsafeBytes { send(UnsafeRawBufferPointer(rebasing: $0[outputStart...])) }
      guard sent >= 0 else { return clientLeft() }
      outputStart += sent
      guard outputStart == output.count else { return waitForRoom(true) }
      output.removeAll(keepingCapacity: output.capacity <= 256 * 1024)
      outputStart = 0
    }
    waitForRoom(false)
    if phase == .closing { close() }
  }

  /// How many bytes the kernel took, 0 when it is full, −1 when the client is gone.
  private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard !bytes.isEmpty else { return 0 }
    let sent = Glibc.send(fd, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    if sent < 0 { return errno == EAGAIN || errno == EINTR ? 0 : -1 }
    server.bytesSent += sent
    return sent
  }

  private func waitForRoom(_ waits: Bool) {
    guard waits != waitsForRoom, let registration else { return }
    waitsForRoom = waits
    let events = waits ? EventLoop.readable | EventLoop.writable : EventLoop.readable
    EventLoop.shared.modify(registration, events: events)
  }

  /// Closes at once with a reset instead of an end.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    clientLeft()
  }

  private func clientLeft() {
    let owed = phase == .responding
    let action = onDisconnect
    close()
    guard owed else { return }
    server.disconnects += 1
    action?()
  }

  /// Closes at once. What is buffered is lost.
  func close() {
    guard phase != .closed else { return }
    phase = .closed
    onDisconnect = nil
    if let registration { EventLoop.shared.unregister(registration) }
    registration = nil
    Glibc.close(fd)
    server.forget(self)
  }
}
