import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Common

@Suite("The HTTP client at a server that means harm", .timeLimit(.minutes(1)))
struct HTTPHostileTests {
  @Test("a compressed answer is not asked for, and never inflated: ten megabytes of zeros stay ten kilobytes")
  @IO func bomb() async throws {
    let zipped = try await ChildProcess.run(
      ChildCommand(["bash", "-c", "head -c 10000000 /dev/zero | gzip -9"]),
      limits: ChildLimits(stdoutMaxBytes: 1 << 20, timeoutMilliseconds: 20_000)
    ).stdout
    #expect(zipped.count < 20_000 && zipped.starts(with: [0x1f, 0x8b]))
    let asked = Asked()
    let server = LoopbackServer { connection in
      while let request = connection.readRequest() {
        asked.note(request)
        for encoding in ["gzip", "deflate", "br", "zstd"] where request.hasPrefix("GET /\(encoding) ") {
          connection.send(
            "HTTP/1.1 200 OK\r\nContent-Encoding: \(encoding)\r\nContent-Length: \(zipped.count)\r\n\r\n")
          connection.send(bytes: zipped)
        }
      }
    }
    let client = HTTPClient()
    defer { client.close() }
    for encoding in ["gzip", "deflate", "br", "zstd"] {
      let response = try await client.outcome(server.url("/\(encoding)"), limits: .make(body: 20_000)).get()
      #expect(response.body == zipped, "\(encoding)")
    }
    #expect(asked.requests.count == 4)
    #expect(asked.requests.allSatisfy { !$0.lowercased().contains("accept-encoding") })
  }

  @Test("headers and bodies that drip, a byte at a time, end at their time limits")
  @IO func drips() async {
    let server = LoopbackServer { connection in
      let request = connection.readRequest() ?? ""
      if request.hasPrefix("GET /body ") {
        connection.startStream()
        while connection.sendChunk("data: x\n\n") { usleep(20_000) }
      } else {
        connection.send("HTTP/1.1 200 OK\r\nA: ")
        while connection.send("a") { usleep(20_000) }
      }
    }
    let client = HTTPClient()
    let head = await client.failure(server.url("/head"), timeouts: .make(firstContent: 400))
    #expect(head == .firstContentTimeout)
    let body = await client.failure(server.url("/body"), timeouts: .make(stall: 5_000, total: 900))
    #expect(body == .totalTimeout)
    #expect(client.connectionCount == 0)
    client.close()
  }

  @Test("a redirect is an answer: nobody is asked where it points, whatever it points to")
  @IO func redirects() async throws {
    let inner = Asked()
    let other = LoopbackServer { connection in
      while let request = connection.readRequest() {
        inner.note(request)
        connection.respond()
      }
    }
    let targets = [
      other.url("/secret"), "//127.0.0.1:\(other.port)/", "file:///etc/passwd", "gopher://127.0.0.1/",
    ]
    let server = LoopbackServer { connection in
      while let request = connection.readRequest() {
        let number = Int(request.split(separator: " ")[1].dropFirst()) ?? 0
        let status = [301, 302, 307, 308][number]
        connection.respond("\(status) Elsewhere", headers: "Location: \(targets[number])\r\n")
      }
    }
    let client = HTTPClient()
    for (number, status) in [301, 302, 307, 308].enumerated() {
      #expect(try await client.outcome(server.url("/\(number)")).get().status == status)
    }
    client.close()
    #expect(inner.requests == [])
  }
}

/// Requests that a server of a test has seen, on a thread of its own.
final class Asked: Sendable {
  private let lock = Mutex<[String]>([])

  func note(_ request: String) { lock.withLock { $0.append(request) } }
  var requests: [String] { lock.withLock { $0 } }
}
