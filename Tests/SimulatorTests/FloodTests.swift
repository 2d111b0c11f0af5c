import Testing

@testable import Common
@testable import Simulator

@Suite("The flood")
struct FloodTests {
  @IO private static func start(_ mode: FloodServer.Mode) throws -> FloodServer {
    let server = try FloodServer(mode, port: 0)
    try server.start()
    return server
  }

  @Test("streams the stated number of tokens at the stated rate, then [DONE]")
  func schedule() async throws {
    let server = try await FloodTests.start(.stream(tokensPerSecond: 100, count: 41))
    let reply = await BlockingClient(port: server.ports[0]).send("POST", "/chat/completions", "{}")
    #expect(reply.isComplete && reply.words.count == 41 && reply.events.last == .string("[DONE]"))
    #expect(reply.chunks.count == 41 + 2)
    #expect(reply.milliseconds >= 390)
    await server.stop()
  }

  @Test("with rate 0 sends everything at once")
  func burst() async throws {
    let server = try await FloodTests.start(.stream(tokensPerSecond: 0, count: 5000))
    let reply = await BlockingClient(port: server.ports[0]).send("POST", "/chat/completions", "{}")
    #expect(reply.isComplete && reply.eventCount == 5001)
    await server.stop()
  }

  @Test("in plain mode answers every request with the same 200 bytes")
  func plain() async throws {
    let server = try await FloodTests.start(.plain)
    let request = "GET / HTTP/1.1\r\n\r\n"
    let replies = await BlockingClient(port: server.ports[0]).raw([request + request], replies: 2)
    #expect(replies.map(\.body.count) == [200, 200])
    #expect(replies[0].json?["status"]?.text == "ok")
    await server.stop()
  }

  @Test("schedules agree with themselves: a token is due at its time and not a millisecond before")
  func dueTimes() {
    for seed in 0..<50 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let schedule = TokenSchedule(
        firstMilliseconds: random.below(300), tokensPerSecond: 1 + random.uniform() * 900,
        count: 1 + random.below(500))
      for index in 0..<schedule.count {
        let time = schedule.milliseconds(ofToken: index)
        #expect(schedule.due(after: time) > index, "seed \(seed)")
        #expect(schedule.due(after: time - 1) <= index, "seed \(seed)")
      }
      #expect(schedule.due(after: .max / 2) == schedule.count)
    }
  }
}
