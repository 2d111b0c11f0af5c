import Foundation
import Glibc
import Testing

@testable import Common

@Suite("The HTTP client")
struct HTTPClientTests {
  @Test("sends the request as given and nothing else, and returns the whole response")
  @IO func plainRequest() async throws {
    let server = LoopbackServer { connection in
      guard let request = connection.readRequest() else { return }
      connection.respond(headers: "Content-Type: text/plain\r\nRetry-After: 7\r\n", body: request)
    }
    let client = HTTPClient()
    defer { client.close() }
    let request = HTTPRequest(
      method: .post, url: server.url("/chat?a=b"),
      headers: [("Zeta", "1"), ("Alpha", ""), ("Content-Type", "application/json")], body: Array("{é}".utf8))
    let response = try await client.fetch(request, timeouts: .make(), limits: .make())
    #expect(
      String(decoding: response.body, as: UTF8.self)
        == "POST /chat?a=b HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nZeta: 1\r\nAlpha:\r\n"
        + "Content-Type: application/json\r\nContent-Length: 4\r\n\r\n{é}")
    #expect(
      response.head == HTTPHead(status: 200, retryAfterSeconds: 7, contentType: "text/plain"))
    #expect(response.summary.bodyBytes == response.body.count && !response.summary.reusedConnection)
    #expect(response.summary.firstByteMicroseconds > 0)
    #expect(response.summary.totalMicroseconds >= response.summary.firstByteMicroseconds)
  }

  @Test("a handle that asked one server asks the next for its own, also where connections are closed")
  @IO func pooledHandle() async throws {
    let servers = (0..<2).map { number in
      LoopbackServer { connection in
        while let request = connection.readRequest() {
          connection.respond(body: request.prefix { !$0.isNewline } + " \(number)")
          // The second one keeps no connection, and says nothing of it.
          if number == 1 { return }
        }
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    for (round, number) in [0, 1, 1, 1, 0, 1, 0, 0].enumerated() {
      let request = HTTPRequest(method: .get, url: servers[number].url("/\(round)?q=\(round)"))
      let response = try await client.fetch(request, timeouts: .make(), limits: .make())
      let answer = String(decoding: response.body, as: UTF8.self)
      #expect(answer == "GET /\(round)?q=\(round) HTTP/1.1 \(number)")
    }
  }

  @Test("an address with a zone is given to libcurl as text, which forgets the zone of a URL that it copies")
  @IO func zone() throws {
    #expect(try ParsedURL("http://[fe80::1%25lo]:1/").hasZone)
    for plain in ["http://[fe80::1]:1/", "http://127.0.0.1/a%25lo", "https://host"] {
      #expect(try !ParsedURL(plain).hasZone)
    }
  }

  @Test("sends a large body without waiting for 100 Continue, and an empty one with its length")
  @IO func bodies() async throws {
    let server = LoopbackServer { connection in
      while let request = connection.readRequest() {
        let expects = request.lowercased().contains("expect:")
        connection.respond(body: "\(request.utf8.count) \(expects) \(request.contains("Content-Length: 0"))")
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    for (count, isZero) in [(3_000_000, false), (0, true)] {
      let request = HTTPRequest(method: .post, url: server.url(), body: .init(repeating: 0x61, count: count))
      let response = try await client.fetch(request, timeouts: .make(), limits: .make())
      let words = String(decoding: response.body, as: UTF8.self).split(separator: " ")
      #expect(Int(words[0])! > count && words[1] == "false" && words[2] == "\(isZero)")
    }
  }

  @Test("a second request goes over the same connection and changes nothing in epoll's set")
  @IO func reuse() async throws {
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil { connection.respond(body: "\(connection.number)") }
    }
    let client = HTTPClient()
    defer { client.close() }
    var changes: [Int] = []
    for round in 0..<5 {
      let response = try await client.outcome(server.url()).get()
      #expect(response.body == Array("1".utf8) && response.summary.reusedConnection == (round > 0))
      changes.append(client.epollChanges)
    }
    #expect(changes[0] > 0 && Set(changes).count == 1)
    #expect(server.connections == 1 && client.connectionCount == 1)
  }

  @Test("a handle that served one request, whole or cut off, sends nothing of it with the next")
  @IO func handleReuse() async throws {
    let server = LoopbackServer { connection in
      while let request = connection.readRequest() {
        if request.contains("/cut") { connection.startStream() } else { connection.respond(body: request) }
      }
    }
    var configuration = HTTPClient.Configuration()
    configuration.pooledHandlesMax = 1
    let client = HTTPClient(configuration)
    defer { client.close() }
    let secret = [(name: "Authorization", value: "Bearer secret")]
    let methods: [HTTPRequest.Method] = [.post, .get, .delete, .put, .delete, .post, .get, .put, .post]
    for (round, method) in methods.enumerated() {
      let hasBody = method == .post || method == .put
      // Every other time with headers of its own, and after one that was cancelled in mid-answer.
      if round % 2 == 0 {
        let cut = HTTPRequest(
          method: .post, url: server.url("/cut"), headers: secret, body: Array("old".utf8))
        let collector = EventCollector()
        collector.onHead = { $0.cancel() }
        client.start(cut, timeouts: .make(), limits: .make(), handler: collector)
        await collector.ended.wait()
      }
      let request = HTTPRequest(
        method: method, url: server.url("/\(round)"), body: hasBody ? Array("b\(round)".utf8) : [])
      let response = try await client.fetch(request, timeouts: .make(), limits: .make())
      let length = hasBody ? "Content-Length: 2\r\n\r\nb\(round)" : "\r\n"
      #expect(
        String(decoding: response.body, as: UTF8.self)
          == "\(method.rawValue) /\(round) HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\n\(length)")
    }
  }

  @Test("open streams leave room for idle connections, which stay bounded by themselves")
  @IO func idleConnectionsBesideStreams() async throws {
    let silent = LoopbackServer { connection in
      guard connection.readRequest() != nil else { return }
      connection.startStream()
      connection.sendChunk("data: a\n\n")
      _ = connection.readRequest()
    }
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil { connection.respond(body: "\(connection.number)") }
    }
    var configuration = HTTPClient.Configuration()
    configuration.idleConnectionsMax = 1
    let client = HTTPClient(configuration)
    defer { client.close() }
    let request = HTTPRequest(method: .get, url: silent.url())
    for _ in 0..<3 {
      let stream = EventCollector()
      client.start(request, timeouts: .make(), limits: .make(), handler: stream)
      await stream.first.wait()
    }
    for round in 0..<4 {
      let response = try await client.outcome(server.url()).get()
      #expect(response.summary.reusedConnection == (round > 0))
    }
    #expect(server.connections == 1 && client.connectionCount == 4)
  }

  @Test(
    "a connection that the server closed while idle is not used again, and does not keep the loop busy",
    .timeLimit(.minutes(1)))
  @IO func idleClose() async throws {
    let closed = Flag()
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.respond(body: "\(connection.number)")
      connection.close()
      closed.raise()
    }
    let client = HTTPClient()
    defer { client.close() }
    #expect(try await client.outcome(server.url()).get().body == Array("1".utf8))
    await closed.wait()
    // Added, changed from writable to readable, and forgotten at the one event of its end.
    while client.epollChanges < 3 { await EventLoop.shared.sleep(milliseconds: 1) }
    #expect(client.epollChanges == 3 && client.connectionCount == 1)
    #expect(try await client.outcome(server.url()).get().body == Array("2".utf8))
  }

  @Test("a name with two addresses, the first of which refuses, is reached by the second")
  @IO func secondAddress() async throws {
    // `localhost` is ::1 and 127.0.0.1 to libcurl; the server listens on the latter only. The failed
    // socket's number is used again at once.
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil { connection.respond(body: "\(connection.number)") }
    }
    let client = HTTPClient()
    defer { client.close() }
    for _ in 0..<3 {
      let response = try await client.outcome("http://localhost:\(server.port)/").get()
      #expect(response.body == Array("1".utf8))
    }
    #expect(client.connectionCount == 1)
  }

  @Test("redirects are answers, not followed")
  @IO func redirect() async throws {
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil {
        connection.respond("302 Found", headers: "Location: /elsewhere\r\n", body: "moved")
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.outcome(server.url()).get()
    #expect(response.status == 302 && response.body == Array("moved".utf8))
  }

  @Test("announcements (1xx) before the answer are passed over")
  @IO func announcements() async throws {
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil {
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        connection.respond("429 Too Many Requests", headers: "Retry-After: 999999999\r\n", body: "x")
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.outcome(server.url()).get()
    #expect(response.head == HTTPHead(status: 429, retryAfterSeconds: 86_400, contentType: nil))
  }

  @Test("the proxy of the environment is not used")
  @IO func environmentProxy() async throws {
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil { connection.respond(body: "direct") }
    }
    setenv("http_proxy", "http://127.0.0.1:1", 1)
    defer { unsetenv("http_proxy") }
    let client = HTTPClient()
    defer { client.close() }
    #expect(try await client.outcome(server.url()).get().body == Array("direct".utf8))
  }

  @Test("secrets in headers, queries and addresses are in no description")
  func descriptions() {
    let request = HTTPRequest(
      method: .post, url: "http://user:hush@host/path?key=hush", headers: [("Authorization", "hush")],
      body: Array("hush".utf8))
    var dumped = ""
    dump(request, to: &dumped)
    for text in ["\(request)", String(reflecting: request), dumped] {
      #expect(text.contains("POST host/path") && !text.contains("hush"))
    }
  }

  @Test("a header that would start another one is refused, and so are other protocols and passwords in URLs")
  @IO func refusedRequests() async throws {
    let client = HTTPClient()
    defer { client.close() }
    for (name, value) in [("A", "b\r\nC: d"), ("A\r\n", "b"), ("", "b"), ("A:", "b"), ("A", "\0")] {
      let request = HTTPRequest(method: .get, url: "http://127.0.0.1:1/", headers: [(name, value)])
      await #expect(throws: HTTPFailure.self) {
        try await client.fetch(request, timeouts: .make(), limits: .make())
      }
    }
    #expect(await client.failure("file:///etc/passwd") == .protocolError)
    #expect(await client.failure("ftp://127.0.0.1/") == .protocolError)
    #expect(await client.failure("http://a:b@127.0.0.1:1/") == .protocolError)
    #expect(await client.failure("not a url") == .protocolError)
    #expect(client.transferCount == 0)
  }

  @Test(
    "an address outside of the allowed networks is refused, however it is written",
    arguments: ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001"])
  @IO func networks(host: String) async throws {
    let server = LoopbackServer { connection in
      while connection.readRequest() != nil { connection.respond(body: "inside") }
    }
    for (policy, isReached) in [("public", false), ("public,127.0.0.0/8", true), ("any,!127.0.0.1", false)] {
      var configuration = HTTPClient.Configuration()
      configuration.networks = try NetworkPolicy(parsing: policy)
      let client = HTTPClient(configuration)
      defer { client.close() }
      let before = server.connections
      let outcome = await client.outcome("http://\(host):\(server.port)/")
      if isReached {
        #expect(try outcome.get().body == Array("inside".utf8))
      } else {
        #expect(throws: HTTPFailure.self) { try outcome.get() }
        #expect(server.connections == before)
      }
    }
  }

  @Test("200 streams at a time, their chunks interleaved, each arrive whole and in order")
  @IO func manyStreams() async {
    let server = LoopbackServer { connection in
      guard let request = connection.readRequest() else { return }
      let name = request.split(separator: " ")[1].dropFirst()
      connection.startStream()
      for number in 0..<20 {
        connection.sendChunk("data: \(name)-")
        if number % 7 == 0 { sched_yield() }
        connection.sendChunk("\(number)\n\n")
      }
      connection.sendChunk("")
      _ = connection.waitForClose()
    }
    let client = HTTPClient()
    defer { client.close() }
    let collectors = (0..<200).map { _ in EventCollector() }
    for (index, collector) in collectors.enumerated() {
      client.start(
        .init(method: .get, url: server.url("/\(index)")), timeouts: .make(), limits: .make(),
        handler: collector)
    }
    #expect(client.transferCount == 200)
    for (index, collector) in collectors.enumerated() {
      await collector.ended.wait()
      #expect(collector.failure == nil)
      #expect(collector.events == (0..<20).map { "\(index)-\($0)" })
    }
    #expect(client.transferCount == 0 && server.connections == 200)
  }

  @Test("a transfer above the client's maximum fails, the others go on")
  @IO func transfersMax() async {
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.respond(body: "x")
    }
    var configuration = HTTPClient.Configuration()
    configuration.transfersMax = 2
    let client = HTTPClient(configuration)
    defer { client.close() }
    let collectors = (0..<3).map { _ in EventCollector() }
    for collector in collectors {
      client.start(
        .init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: collector)
    }
    for collector in collectors { await collector.ended.wait() }
    #expect(collectors.map(\.failure) == [nil, nil, .other])
  }

  @Test("a closed client has no connection left, ended its transfers, and refuses new ones")
  @IO func close() async {
    let closed = Flag()
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.startStream()
      connection.sendChunk("data: a\n\n")
      if connection.waitForClose() { closed.raise() }
    }
    let client = HTTPClient()
    let collector = EventCollector()
    client.start(
      .init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: collector)
    await collector.first.wait()
    client.close()
    #expect(client.connectionCount == 0 && client.transferCount == 0)
    await collector.ended.wait()
    #expect(collector.failure == .cancelled && collector.endings == 1)
    await closed.wait()
    #expect(await client.failure(server.url()) == .other)
  }
}
