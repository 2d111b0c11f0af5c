import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Simulator
@testable import Workers

/// A miner of a few lines, over real HTTP, that does as it is told.
@IO
final class ToldMiner {
  enum Order {
    /// A stream of three words of its own.
    case answers
    /// Nothing, with the connection left open.
    case silent
    /// The role, and then nothing.
    case roleOnly
    /// The role, then an error in the stream.
    case roleThenError
    case full(retryAfterSeconds: Int)
    case broken
  }

  var order = Order.answers
  private(set) var requests = 0
  private let name: String
  private var server: HTTPServer?

  init(_ name: String) throws {
    self.name = name
    server = try HTTPServer(port: 0) { [unowned self] _, connection in self.answer(connection) }
    try server?.start()
  }

  var port: Int { server?.port ?? 0 }
  /// Connections that were closed while an answer was under way.
  var disconnects: Int { server?.disconnects ?? 0 }

  func stop() {
    server?.stop()
    server = nil
  }

  private static func event(_ delta: String) -> [UInt8] {
    Array("data: {\"choices\":[{\"delta\":{\(delta)},\"logprobs\":null}]}\n\n".utf8)
  }

  private func answer(_ connection: HTTPConnection) {
    requests += 1
    switch order {
    case .answers:
      connection.beginStream()
      connection.sendChunk(ToldMiner.event("\"role\":\"assistant\",\"content\":\"\""))
      for _ in 0..<3 { connection.sendChunk(ToldMiner.event("\"content\":\"\(name) \"")) }
      connection.sendChunk(Array("data: [DONE]\n\n".utf8))
      connection.endStream()
    case .silent: break
    case .roleOnly:
      connection.beginStream()
      connection.sendChunk(ToldMiner.event("\"role\":\"assistant\",\"content\":\"\""))
    case .roleThenError:
      connection.beginStream()
      connection.sendChunk(ToldMiner.event("\"role\":\"assistant\",\"content\":\"\""))
      connection.sendChunk(Array("data: {\"error\":{\"message\":\"lost\",\"code\":500}}\n\n".utf8))
      connection.endStream()
    case .full(let seconds):
      connection.respond(status: 429, headers: ["retry-after: \(seconds)"], body: Array("{}".utf8))
    case .broken: connection.respond(status: 500, body: Array("{}".utf8))
    }
  }
}

/// Miners that do as they are told, a period that has them, and users' requests.
@IO
final class RouteBench {
  let queue: JobQueue
  let miners: [ToldMiner]
  let namespace: String
  private var submitted = 0

  static func run(miners count: Int, _ body: @IO (RouteBench) async throws -> Void) async throws {
    try await TestRedis.withQueue { queue in
      let miners = try (0..<count).map { try ToldMiner("m\($0)") }
      defer { for miner in miners { miner.stop() } }
      let bench = try await RouteBench(queue, miners)
      try await body(bench)
      let report = try await Fsck(queue).run()
      #expect(report.isClean, "\(report.lines.joined(separator: "\n"))")
    }
  }

  private init(_ queue: JobQueue, _ miners: [ToldMiner]) async throws {
    self.queue = queue
    self.miners = miners
    namespace = String(queue.keys.prefix.prefix { $0 != ":" })
    let now = try await queue.nowMilliseconds() / 1000 * 1000
    var period = try PeriodSnapshot.make(
      startMilliseconds: now, counts: [[Int](repeating: 0, count: miners.count)])
    period.capacities = [[Double](repeating: 1e6, count: miners.count)]
    // A second miner is asked well before this.
    period.tasks[0].timeouts.firstContentMilliseconds = 3_000
    for (index, miner) in miners.enumerated() {
      period.miners[index].address = "http://127.0.0.1:\(miner.port)"
    }
    _ = try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000)
    _ = try await queue.openPeriod(
      leader: "p", snapshot: period, encoded: Array(JSONEncoder().encode(period)), seed: 1,
      pacePerSecond: 1, burst: 1)
    _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
  }

  /// Runs `body` beside a worker with the real wiring, and stops it.
  func withWorker(_ more: [String] = [], _ body: @IO () async throws -> Void) async throws {
    let table = SettingsTable(
      program: "vision-workers", about: "", settings: CommonSettings.service + WorkerSettings.own)
    let request = try table.parse(
      arguments: arguments + more, environment: try TestRedis.environment(as: .worker),
      readFile: SettingsFile.read)
    guard case .run(let settings) = request else { preconditionFailure("no settings") }
    let context = ServiceContext(settings: settings, log: .shared)
    let service = try WorkerService(context)
    let ended = Task { @IO in await service.run() }
    let result = await outcome(of: body)
    context.stopping.fire()
    _ = await ended.value
    try result.get()
  }

  private func outcome(of body: @IO () async throws -> Void) async -> Result<Void, any Error> {
    do {
      try await body()
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  private var arguments: [String] {
    [
      "--namespace", namespace, "--lanes", "query", "--grace-ms", "2000", "--miner-networks", "127.0.0.0/8",
    ]
  }

  /// Starts the worker's program.
  func start() throws -> ChildProcess {
    try ChildProcess(
      ChildCommand(
        [BuiltProgram("vision-workers").path] + arguments, adding: try TestRedis.environment(as: .worker)),
      stdout: .discarded, stderr: .discarded)
  }

  /// Submits a user's request and returns what its reply came to.
  func ask() async throws -> (text: String, end: [String: String]) {
    submitted += 1
    let id = "o\(submitted)"
    let payload = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
    let result = try await queue.submit(id: id, task: "chat", payload: Array(payload.utf8))
    #expect(result == .created)
    var entries: [[String: String]] = []
    try await until {
      let raw = try await self.queue.redis.send("XRANGE", self.queue.keys.reply(id), "-", "+").elements ?? []
      entries = raw.compactMap { $0.elements?.last?.fields }
      return entries.last?["end"] != nil
    }
    return (entries.compactMap { $0["data"] }.joined(), entries.last ?? [:])
  }

  /// Who tells of the miner `hotkey`, and what; nil while nobody does.
  func told(of hotkey: String) async throws -> (worker: String, MinerReport)? {
    let fields = try await queue.redis.send("HGETALL", queue.keys.route("chat")).fields ?? [:]
    for (worker, value) in fields {
      guard let space = value.firstIndex(of: " ") else { continue }
      let reports = MinerReportText.decode(Array(value[value.index(after: space)...].utf8))
      if let report = reports.first(where: { $0.hotkey == hotkey }) { return (worker, report) }
    }
    return nil
  }

  /// Workers other than `teller` whose heartbeat says that they leave one miner out.
  func workersThatLeaveOneOut(but teller: String) async throws -> Int {
    let keys = try await TestRedis.keys(queue.redis, prefix: queue.keys.worker(""))
    var count = 0
    for key in keys where key != queue.keys.worker(teller) {
      if try await queue.redis.send("HGET", key, "miners_out").text == "1" { count += 1 }
    }
    return count
  }

  /// Attempts in the ledger, by hotkey and outcome.
  func attempts() async throws -> [String] {
    try await queue.readLedger(after: "", limit: 5_000).compactMap { record in
      guard case .attempt(let attempt)? = record.entry else { return nil }
      return attempt.hotkey + " " + attempt.outcome.rawValue
    }
  }

  /// Waits until `condition` holds, at most 30 s. Nothing tells of what other programs write into records.
  func until(_ condition: @IO () async throws -> Bool) async throws {
    let deadline = Monotonic.now().advanced(milliseconds: 30_000)
    while try await !condition() {
      try #require(Monotonic.now() < deadline)
      await EventLoop.shared.sleep(milliseconds: 5)
    }
  }
}
