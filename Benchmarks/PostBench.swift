import Common

/// Small requests per second through our HTTP client, beside `wrk` on the same server.
@IO
enum PostBench {
  static let width = 64
  static let body = #"{"prompt":"a lighthouse at dusk","seed":12345,"steps":8,"width":1024,"height":1024}"#

  static func run(_ lab: Lab) async throws -> [Row] {
    let server = try await lab.flood("--plain")
    let client = HTTPClient()
    defer { client.close() }
    var ours: [LoadResult] = []
    var peer: [Peers.Figure] = []
    for _ in 0..<Lab.rounds {
      ours.append(
        try await Load.run(width: width, seconds: lab.seconds) { try await post(client, server.url) })
      peer.append(try await Peers.wrk(lab, url: server.url, width: width, body: body))
    }
    await lab.end(server.process)
    let ratios = zip(ours, peer).map { $0.perSecond / $1.perSecond }
    let bench = "post"
    return [
      Row(bench: bench, metric: "ours_64_in_flight", value: ours.map(\.perSecond).median, unit: "1/s"),
      Row(bench: bench, metric: "ours_cpu", value: ours.map(\.microsecondsEach).median, unit: "us"),
      Row(
        bench: bench, metric: "wrk", value: peer.map(\.perSecond).median, unit: "1/s",
        anchor: "85000 on an idle machine"),
      Row(bench: bench, metric: "wrk_cpu", value: peer.map(\.microsecondsEach).median, unit: "us"),
      Row(bench: bench, metric: "ratio", value: ratios.median, unit: "x", aim: .atLeast(0.3)),
    ]
  }

  private static let request = Array(body.utf8)

  /// One request, which must be answered well.
  static func post(
    _ client: HTTPClient, _ url: String, body: [UInt8]? = nil, patienceMilliseconds: Int = 5_000
  ) async throws {
    let request = HTTPRequest(
      method: .post, url: url, headers: [("Content-Type", "application/json")], body: body ?? request)
    let timeouts = HTTPTimeouts(
      connectMilliseconds: patienceMilliseconds, firstContentMilliseconds: patienceMilliseconds,
      stallMilliseconds: patienceMilliseconds, totalMilliseconds: patienceMilliseconds)
    let response = try await client.fetch(
      request, timeouts: timeouts, limits: HTTPLimits(responseBytesMax: 65_536))
    guard response.status == 200 else { throw BenchFailure("status \(response.status)") }
  }
}
