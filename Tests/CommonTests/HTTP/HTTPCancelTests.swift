import Foundation
import Testing

@testable import Common

@Suite("Cancelling a transfer")
struct HTTPCancelTests {
  /// Sends events until the client closes, then raises the flag.
  private func endlessServer(_ closed: Flag) -> LoopbackServer {
    LoopbackServer { connection in
      _ = connection.readRequest()
      connection.startStream()
      while connection.sendChunk("data: x\n\n") { usleep(500) }
      closed.raise()
    }
  }

  @Test("closes the socket, and the handler hears of it once, after cancel() returned")
  @IO func cancel() async {
    let closed = Flag()
    let server = endlessServer(closed)
    let client = HTTPClient()
    defer { client.close() }
    let collector = EventCollector()
    let transfer = client.start(
      .init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: collector)
    await collector.first.wait()
    transfer.cancel()
    #expect(client.connectionCount == 0 && client.transferCount == 0 && collector.endings == 0)
    transfer.cancel()
    await collector.ended.wait()
    await closed.wait()
    #expect(collector.failure == .cancelled && collector.endings == 1 && !collector.receivedAfterEnd)
  }

  @Test("works before the transfer began")
  @IO func cancelAtOnce() async {
    let server = endlessServer(Flag())
    let client = HTTPClient()
    defer { client.close() }
    let collector = EventCollector()
    client.start(
      .init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: collector
    ).cancel()
    await collector.ended.wait()
    #expect(collector.failure == .cancelled && server.connections == 0)
  }

  @Test("works from inside the handler, which then receives nothing more", arguments: [true, false])
  @IO func cancelInside(atHead: Bool) async {
    let closed = Flag()
    let server = endlessServer(closed)
    let client = HTTPClient()
    defer { client.close() }
    let collector = EventCollector()
    var pieces = 0
    collector.onHead = { if atHead { $0.cancel() } }
    collector.onBytes = { transfer, _ in
      pieces += 1
      transfer.cancel()
      transfer.cancel()
    }
    client.start(
      .init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: collector)
    await collector.ended.wait()
    await closed.wait()
    #expect(collector.failure == .cancelled && pieces == (atHead ? 0 : 1))
    #expect(collector.endings == 1 && client.connectionCount == 0 && client.transferCount == 0)
  }

  @Test("works on other transfers from inside a handler, which may start new ones there")
  @IO func cancelOthersInside() async {
    let closed = [Flag(), Flag(), Flag()]
    let server = LoopbackServer { connection in
      guard let request = connection.readRequest() else { return }
      if request.hasPrefix("GET /plain ") { connection.respond(body: "data: plain\n\n") }
      let index = Int(request.split(separator: " ")[1].dropFirst()) ?? 0
      connection.startStream()
      while connection.sendChunk("data: x\n\n") { usleep(500) }
      closed[index].raise()
    }
    let client = HTTPClient()
    defer { client.close() }
    let collectors = (0..<3).map { _ in EventCollector() }
    let late = EventCollector()
    var transfers: [Transfer] = []
    collectors[0].onBytes = { _, collector in
      guard collector.events.count == 5 else { return }
      for transfer in transfers { transfer.cancel() }
      client.start(
        .init(method: .get, url: server.url("/plain")), timeouts: .make(), limits: .make(), handler: late)
    }
    transfers = collectors.enumerated().map { index, collector in
      client.start(
        .init(method: .get, url: server.url("/\(index)")), timeouts: .make(), limits: .make(),
        handler: collector)
    }
    for collector in collectors + [late] { await collector.ended.wait() }
    for flag in closed { await flag.wait() }
    #expect(collectors.map(\.failure) == [.cancelled, .cancelled, .cancelled])
    #expect(collectors.allSatisfy { $0.endings == 1 && !$0.receivedAfterEnd })
    #expect(late.failure == nil && late.events == ["plain"])
  }

  @Test("a cancelled task closes the socket of its fetch")
  @IO func cancelTask() async {
    let received = Flag()
    let closed = Flag()
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      received.raise()
      if connection.waitForClose() { closed.raise() }
    }
    let client = HTTPClient()
    defer { client.close() }
    let task = Task { @IO in await client.failure(server.url()) }
    await received.wait()
    task.cancel()
    #expect(await task.value == .cancelled)
    await closed.wait()
    #expect(client.connectionCount == 0)
    let cancelledBefore = Task { @IO in
      withUnsafeCurrentTask { $0?.cancel() }
      return await client.failure(server.url())
    }
    #expect(await cancelledBefore.value == .cancelled && server.connections == 1)
  }

  @Test("a handler may cancel and close everything when its own transfer ends")
  @IO func closeAtEnd() async {
    let server = LoopbackServer { connection in
      _ = connection.readRequest()
      connection.respond(body: "x")
    }
    let client = HTTPClient()
    let closer = ClosingHandler(client)
    client.start(.init(method: .get, url: server.url()), timeouts: .make(), limits: .make(), handler: closer)
    await closer.ended.wait()
    #expect(client.connectionCount == 0)
  }
}

/// Closes the client when its transfer ends.
@IO private final class ClosingHandler: TransferHandler {
  let client: HTTPClient
  let ended = Signal()

  init(_ client: HTTPClient) { self.client = client }

  func transfer(_ transfer: Transfer, received head: HTTPHead) {}
  func transfer(_ transfer: Transfer, received bytes: UnsafeRawBufferPointer) {}

  func transfer(_ transfer: Transfer, ended result: Result<HTTPSummary, HTTPFailure>) {
    transfer.cancel()
    client.close()
    ended.fire()
  }
}
