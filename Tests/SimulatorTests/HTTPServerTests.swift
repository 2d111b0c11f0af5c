import Testing

@testable import Common
@testable import Simulator

@Suite("The simulator's HTTP server")
struct HTTPServerTests {
  /// Echoes the body's length.
  @IO private static func echo() throws -> HTTPServer {
    let server = try HTTPServer(port: 0) { request, connection in
      connection.respond(
        status: 200, body: Array("\(request.method) \(request.path) \(request.body.count)".utf8))
    }
    try server.start()
    return server
  }

  @Test("answers several requests on one connection, however they are cut and joined")
  func keepAlive() async throws {
    let server = try await HTTPServerTests.echo()
    let requests = [
      "GET /a?b=c HTTP/1.1\r\nHo", "st: x\r\n\r\nPOST /d HTTP/1.1\r\nContent-", "LENGTH: 5\r\n",
      "\r\nhel", "loGET /e HTTP/1.1\r\n\r\n",
    ]
    let replies = await BlockingClient(port: server.port).raw(requests, replies: 3)
    #expect(replies.map(\.text) == ["GET /a 0", "POST /d 5", "GET /e 0"])
    await server.stop()
  }

  @Test("takes a body of 8 MB and asks for it when the client waits to be asked")
  func largeBody() async throws {
    let server = try await HTTPServerTests.echo()
    let body = String(repeating: "x", count: HTTPHead.bodyMax)
    let reply = await BlockingClient(port: server.port).send("POST", "/", body)
    #expect(reply.text == "POST / \(HTTPHead.bodyMax)")
    let expecting = "POST / HTTP/1.1\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n"
    let replies = await BlockingClient(port: server.port).raw([expecting], replies: 1)
    #expect(replies[0].status == 100)
    await server.stop()
  }

  private static let unacceptable: [String: (request: String, status: Int)] = [
    "no request line": ("hello\r\n\r\n", 400),
    "no header": ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    "negative length": ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
    "too long": ("POST / HTTP/1.1\r\ncontent-length: 8388609\r\n\r\n", 413),
    "chunked": ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
    "long head": ("GET / HTTP/1.1\r\nx: " + String(repeating: "y", count: 70_000), 431),
  ]

  @Test("refuses what it does not take", arguments: unacceptable.keys.sorted())
  func refusals(name: String) async throws {
    let server = try await HTTPServerTests.echo()
    let (request, status) = try #require(HTTPServerTests.unacceptable[name])
    let replies = await BlockingClient(port: server.port).raw([request], replies: 1)
    #expect(replies[0].status == status)
    await server.stop()
  }

  @Test("tells the handler when the client leaves before the answer is complete")
  func disconnect() async throws {
    let left = Signal()
    let server = try await HTTPServerTests.neverEnding(left)
    let reply = await BlockingClient(port: server.port).send("GET", "/", readAtMost: 1)
    #expect(reply.text == "first" && !reply.isComplete)
    await left.wait()
    let (disconnects, open) = await HTTPServerTests.counts(server)
    #expect(disconnects == 1 && open == 0)
    await server.stop()
  }

  @IO private static func neverEnding(_ left: Signal) throws -> HTTPServer {
    let server = try HTTPServer(port: 0) { _, connection in
      connection.onDisconnect = { left.fire() }
      connection.beginStream()
      connection.sendChunk(Array("first".utf8))
    }
    try server.start()
    return server
  }

  @IO private static func counts(_ server: HTTPServer) -> (Int, Int) {
    (server.disconnects, server.connectionCount)
  }
}
