import Foundation
import Glibc
import Testing

@testable import Common

@Suite("What the HTTP client says about failures")
struct HTTPFailureTests {
  @Test("nobody listens: refused; no such name: not resolved")
  @IO func refused() async {
    let (fd, port) = LoopbackServer.listen(backlog: 1)
    Glibc.close(fd)
    let client = HTTPClient()
    defer { client.close() }
    #expect(await client.failure("http://127.0.0.1:\(port)/") == .connectRefused)
    #expect(await client.failure("http://nowhere.invalid/") == .resolve)
    #expect(client.connectionCount == 0)
  }

  @Test("the connect timeout is its own kind")
  @IO func connectTimeout() async {
    // A listener whose queue is full drops further handshakes.
    let (listener, port) = LoopbackServer.listen(backlog: 0)
    var fillers: [Int32] = []
    for _ in 0..<4 { fillers.append(connectWithoutWaiting(port)) }
    let client = HTTPClient()
    #expect(
      await client.failure("http://127.0.0.1:\(port)/", timeouts: .make(connect: 150)) == .connectTimeout)
    #expect(client.connectionCount == 0)
    client.close()
    for fd in fillers + [listener] { Glibc.close(fd) }
  }

  private func connectWithoutWaiting(_ port: Int) -> Int32 {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return fd
  }

  @Test("no content in time, although comments come: the first-content timeout, and the socket is closed")
  @IO func firstContentTimeout() async {
    let closed = Flag()
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.startStream()
      while connection.sendChunk(": ping\n\n") { usleep(2000) }
      closed.raise()
    }
    let collector = await run(server, .make(firstContent: 700, stall: 20))
    #expect(collector.failure == .firstContentTimeout && collector.head?.status == 200)
    await closed.wait()
  }

  @Test("content, then nothing: the stall timeout, which bytes put off and the first content brings forward")
  @IO func stallTimeout() async {
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.startStream()
      for number in 0..<10 {
        connection.sendChunk("data: \(number)\n\n")
        usleep(70_000)
      }
      _ = connection.waitForClose()
    }
    let started = Monotonic.now()
    let collector = await run(server, .make(firstContent: 50_000, stall: 500))
    let elapsed = Monotonic.now().milliseconds(since: started)
    #expect(collector.failure == .stallTimeout && collector.events.count == 10)
    #expect(elapsed >= 9 * 70 + 500 && elapsed < 40_000)
  }

  @Test("a loop that was held up is not taken for a stalled server")
  @IO func heldUpLoop() async {
    let server = LoopbackServer { connection in
      let request = connection.readRequest() ?? ""
      connection.startStream()
      if request.hasPrefix("GET /steady ") {
        for number in 0..<40 {
          connection.sendChunk("data: \(number)\n\n")
          usleep(30_000)
        }
      } else {
        usleep(200_000)
        connection.sendChunk("data: x\n\n")
      }
      connection.sendChunk("")
    }
    let client = HTTPClient()
    defer { client.close() }
    let steady = EventCollector()
    let slow = EventCollector()
    slow.onBytes = { _, _ in usleep(900_000) }
    for (path, collector) in [("/steady", steady), ("/slow", slow)] {
      client.start(
        .init(method: .get, url: server.url(path)), timeouts: .make(stall: 600), limits: .make(),
        handler: collector)
    }
    await steady.ended.wait()
    await slow.ended.wait()
    #expect(steady.failure == nil && steady.events.count == 40)
  }

  @Test("content that keeps coming: the total timeout")
  @IO func totalTimeout() async {
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.startStream()
      while connection.sendChunk("data: x\n\n") { usleep(2000) }
    }
    let collector = await run(server, .make(stall: 600, total: 700))
    #expect(collector.failure == .totalTimeout && collector.events.count > 1)
  }

  /// Runs one stream to its end.
  @IO private func run(_ server: LoopbackServer, _ timeouts: HTTPTimeouts) async -> EventCollector {
    let client = HTTPClient()
    let collector = EventCollector()
    client.start(
      .init(method: .get, url: server.url()), timeouts: timeouts, limits: .make(), handler: collector)
    await collector.ended.wait()
    #expect(client.connectionCount == 0 && collector.endings == 1)
    client.close()
    return collector
  }

  @Test(
    "a response that ends early is truncated",
    arguments: [
      "", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nabc",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    ])
  @IO func truncated(answer: String) async {
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.send(answer)
    }
    let client = HTTPClient()
    defer { client.close() }
    #expect(await client.failure(server.url()) == .truncated)
  }

  @Test("what is not HTTP is a protocol error")
  @IO func notHTTP() async {
    let server = LoopbackServer { connection in
      connection.send("220 smtp.example ESMTP\r\n\r\n")
      _ = connection.readRequest()
    }
    let client = HTTPClient()
    defer { client.close() }
    #expect(await client.failure(server.url()) == .protocolError)
    #expect(await client.failure("https://127.0.0.1:\(server.port)/") == .tls)
  }

  @Test("a body above the maximum is refused, announced or not, and the socket closed")
  @IO func tooLarge() async {
    let closed = Flag()
    let server = LoopbackServer { connection in
      let request = connection.readRequest() ?? ""
      if request.hasPrefix("GET /announced ") {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        _ = connection.waitForClose()
      } else {
        connection.send("HTTP/1.1 200 OK\r\n\r\n")
        while connection.send("0123456789") {}
        closed.raise()
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    for path in ["/announced", "/endless"] {
      #expect(await client.failure(server.url(path), limits: .make(body: 1000)) == .tooLarge)
    }
    await closed.wait()
    #expect(client.connectionCount == 0)
  }

  @Test("endless headers are refused, many short lines as well as one long")
  @IO func endlessHeaders() async {
    let server = LoopbackServer { connection in
      let request = connection.readRequest() ?? ""
      connection.send("HTTP/1.1 200 OK\r\nA: ")
      let line = request.hasPrefix("GET /long ") ? "aaaaaaaaaaaaaaaaaaaaaaaaa" : "b\r\nA: "
      while connection.send(line) {}
    }
    let client = HTTPClient()
    defer { client.close() }
    for path in ["/long", "/many"] {
      #expect(await client.failure(server.url(path)) == .headerTooLarge)
    }
  }

  @Test("any status code is an answer")
  @IO func statusCodes() async throws {
    let server = LoopbackServer { connection in
      while let request = connection.readRequest() {
        connection.respond("\(request.split(separator: " ")[1].dropFirst()) Whatever", body: "x")
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    for status in [200, 400, 401, 404, 429, 500, 503] {
      #expect(try await client.outcome(server.url("/\(status)")).get().status == status)
    }
    #expect(server.connections == 1)
  }
}
