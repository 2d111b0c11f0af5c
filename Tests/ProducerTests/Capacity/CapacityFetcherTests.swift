import Common
import Testing

@testable import Producer

@Suite("Asking for capacities")
struct CapacityFetcherTests {
  @Test("no answer of one miner costs another one its own")
  @IO func hostility() async throws {
    let servers = [
      FixedServer(FixedServer.response(#"{"chat-a": 5, "chat-b": {"volume": 7}}"#)),
      FixedServer(FixedServer.response(#"{"chat-a": null, "chat-b": 3}"#)),
      FixedServer(FixedServer.response("[[[[")),
      FixedServer(FixedServer.response(#"{"chat-a": 5}"#, status: "403 Forbidden")),
      FixedServer("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"),
      FixedServer(FixedServer.response(#"{"x": "\#(String(repeating: "y", count: 70_000))"}"#)),
      FixedServer(nil),
      FixedServer("nonsense"),
      FixedServer(FixedServer.response("{}")),
    ]
    var miners = Fixture.miners(servers.count)
    for (index, server) in servers.enumerated() { miners[index].address = server.address }
    // Nobody listens on port 1.
    miners.append(MinerRecord(hotkey: "away", uid: 99, address: "http://127.0.0.1:1"))
    let http = HTTPClient()
    defer { http.close() }
    let fetcher = CapacityFetcher(http: http, log: Fixture.quiet, timeoutMilliseconds: 1_500)
    let answers = await fetcher.fetch(miners, tasks: try Fixture.config().tasks, profile: .vision)
    #expect(answers.claims == [[5, 7], [0, 3], nil, nil, nil, nil, nil, nil, [0, 0], nil])
    #expect(answers.answered == 3)
    #expect(answers.unusable == 1)
  }

  @Test("reaches every miner when there are more than may be asked at a time")
  @IO func many() async throws {
    let server = FixedServer(FixedServer.response(#"{"chat-a": 1}"#))
    var miners = Fixture.miners(CapacityFetcher.concurrencyMax + 50)
    for index in miners.indices { miners[index].address = server.address }
    let http = HTTPClient()
    defer { http.close() }
    let fetcher = CapacityFetcher(http: http, log: Fixture.quiet)
    let answers = await fetcher.fetch(miners, tasks: try Fixture.config().tasks, profile: .vision)
    #expect(answers.answered == miners.count)
  }
}
