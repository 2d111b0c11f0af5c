import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

/// Scripted miners, a period with a chat and a picture task, and workers with the real wiring that serve users.
@IO
final class OrganicBench {
  let queue: JobQueue
  let miners: [ScriptedMiner]
  let period: PeriodSnapshot
  private let reader: RedisClient
  let namespace: String

  static let chat = "chat"
  static let image = "image"
  static let payload = #"{"messages":[{"role":"user","content":"Tell me about lighthouses."}]}"#

  /// Runs `body` with so many miners, and checks the queue's invariants afterwards. `planned` chats are planned
  /// of the first miner. With `ownTasks` each miner has a chat task of its own, and as many planned.
  static func run(
    miners count: Int, firstContent: Int = 1_000, stall: Int = 500, total: Int = 10_000, planned: Int = 0,
    ownTasks: Bool = false, _ body: @IO (OrganicBench) async throws -> Void
  ) async throws {
    try await TestRedis.withQueue { queue in
      let miners = try (0..<count).map { try ScriptedMiner(uid: 10 + $0) }
      defer { for miner in miners { miner.stop() } }
      let bench = try await OrganicBench(
        queue, miners, [firstContent, stall, total], planned, ownTasks)
      defer { bench.reader.close() }
      try await body(bench)
      let report = try await Fsck(queue).run()
      #expect(report.isClean, "\(report.lines.joined(separator: "\n"))")
    }
  }

  private init(
    _ queue: JobQueue, _ miners: [ScriptedMiner], _ limits: [Int], _ planned: Int, _ ownTasks: Bool
  ) async throws {
    self.queue = queue
    self.miners = miners
    reader = RedisClient(address: try TestRedis.address(as: .gateway), options: .init(name: "test-reader"))
    namespace = String(queue.keys.prefix.prefix { $0 != ":" })
    let now = try await queue.nowMilliseconds() / 1000 * 1000
    let names = ownTasks ? miners.indices.map { "\(OrganicBench.chat)-\($0)" } : [OrganicBench.chat]
    // Who wants them run schedules them.
    let counts = names.indices.map { task in
      miners.indices.map { ownTasks ? (task == $0 ? planned : 0) : ($0 == 0 ? planned : 0) }
    }
    let none = [Int](repeating: 0, count: miners.count)
    var period = try PeriodSnapshot.make(
      startMilliseconds: now, lengthMilliseconds: 3_600_000, counts: counts + [none])
    let weight = 0.5 / Double(names.count)
    period.tasks = try names.map { try OrganicBench.task(chat: $0, weight, limits) }
    period.tasks.append(try OrganicBench.task(chat: nil, 0.5, limits))
    period.capacities = period.tasks.indices.map { task in
      miners.indices.map { ownTasks && task != $0 ? 0 : 1_000_000 }
    }
    for (index, miner) in miners.enumerated() {
      period.miners[index].uid = miner.uid
      period.miners[index].address = miner.url
    }
    self.period = period
    _ = try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000)
    _ = try await queue.openPeriod(
      leader: "p", snapshot: period, encoded: Array(JSONEncoder().encode(period)), seed: 1,
      pacePerSecond: 10_000, burst: 10_000)
    _ = try await queue.redis.send(
      RedisCommand(
        words: ["HSET", queue.keys.fixed(.tasks), OrganicBench.image, #"{"shape":"text-to-image"}"#]
          + names.flatMap { [$0, #"{"shape":"chat"}"#] }))
    _ = try await FunctionLibrary.install(on: queue.redis)
  }

  private static func task(chat: String?, _ weight: Double, _ limits: [Int]) throws -> TaskConfig {
    let own =
      chat.map { name in
        #""name":"\#(name)","kind":"text","shape":"chat","stream":true,"max_tokens":[50,2000]"#
      }
      ?? #""name":"image","kind":"image","shape":"text-to-image","stream":false,"steps":[6,12],"size":[64,64]"#
    let text = """
      {\(own),"weight":\(weight),"max_capacity":1000000,"volume_per_request":10,"path":"/","model":"m",
       "timeouts":{"connect_ms":\(limits[0]),"first_content_ms":\(limits[0]),"stall_ms":\(limits[1]),
       "total_ms":\(limits[2])}}
      """
    return try JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8))
  }

  // MARK: workers

  /// A worker of this process.
  struct Running {
    let stopping: Signal
    let ended: Task<ExitCode, Never>

    /// Asks it to stop and waits until it did.
    @IO func stop() async {
      stopping.fire()
      _ = await ended.value
    }
  }

  /// The arguments of a worker for this queue.
  func arguments(_ more: [String] = []) -> [String] {
    [
      "--namespace", namespace, "--lanes", "query", "--organic-lease-ms", "1500", "--grace-ms", "0",
      "--miner-networks", "127.0.0.0/8",
    ] + more
  }

  /// Starts a worker in this process.
  func work(_ more: [String] = []) throws -> Running {
    let table = SettingsTable(
      program: "vision-workers", about: "", settings: CommonSettings.service + WorkerSettings.own)
    let request = try table.parse(
      arguments: arguments(more), environment: try TestRedis.environment(as: .worker),
      readFile: SettingsFile.read)
    guard case .run(let settings) = request else { preconditionFailure("no settings") }
    let context = ServiceContext(settings: settings, log: .shared)
    let service = try WorkerService(context)
    return Running(stopping: context.stopping, ended: IO.task { @IO in await service.run() })
  }

  /// Runs `body` beside a worker.
  func withWorker(_ more: [String] = [], _ body: @IO () async throws -> Void) async throws {
    let worker = try work(more)
    do {
      try await body()
    } catch {
      await worker.stop()
      throw error
    }
    await worker.stop()
  }

  // MARK: users

  /// Pushes a request and waits for the whole reply.
  func ask(
    _ id: String, _ payload: String = OrganicBench.payload, task: String = OrganicBench.chat,
    streams: Bool = true, allowed: Int = 0
  ) async throws -> UserReply {
    let result = try await queue.submit(
      id: id, task: task, payload: Array(payload.utf8), account: "me", allowedMilliseconds: allowed,
      streams: streams)
    #expect(result == .created)
    return try await wholeReply(id)
  }

  /// Waits for the end of a reply, at most 30 s.
  func wholeReply(_ id: String) async throws -> UserReply {
    let deadline = Monotonic.now().advanced(milliseconds: 30_000)
    let key = queue.keys.reply(id)
    while true {
      let entries = try await queue.redis.send("XRANGE", key, "-", "+").elements ?? []
      let reply = UserReply(id: id, entries: entries.compactMap { $0[1]?.fields })
      if reply.entries.contains(where: { $0["end"] != nil }) { return reply }
      try #require(Monotonic.now() < deadline, "\(id) does not end: \(reply.entries)")
      await EventLoop.shared.sleep(milliseconds: 10)
    }
  }

  /// Waits until `condition` holds, at most 10 s.
  func until(_ what: String, _ condition: @IO () async throws -> Bool) async throws {
    let deadline = Monotonic.now().advanced(milliseconds: 10_000)
    while try await !condition() {
      try #require(Monotonic.now() < deadline, "waited in vain: \(what)")
      await EventLoop.shared.sleep(milliseconds: 2)
    }
  }

  /// The outcomes of all attempts for a request, in order.
  func outcomes(_ id: String) async throws -> [Outcome] {
    try await attempts().filter { $0.job == id }.map(\.outcome)
  }

  /// All attempts in the ledger.
  func attempts() async throws -> [AttemptEntry] {
    var cursor = ""
    var found: [AttemptEntry] = []
    while true {
      let records = try await queue.readLedger(after: cursor, limit: 5_000)
      guard let last = records.last else { return found }
      cursor = last.id
      found += records.compactMap { if case .attempt(let entry)? = $0.entry { entry } else { nil } }
    }
  }
}

/// A reply as a user's gateway read it.
struct UserReply {
  let id: String
  let entries: [[String: String]]

  /// The last entry.
  var last: [String: String] { entries.last ?? [:] }
  /// All data, one after another.
  var data: String { entries.compactMap { $0["data"] }.joined() }

  /// The events' data.
  var events: [String] {
    data.components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { String($0.dropFirst(6)) }
  }

  /// The text of all events.
  var text: String {
    events.map { event in
      let (chunk, text) = ChatChunk.scan(Array(event.utf8))
      return chunk.kind == .content ? text : ""
    }.joined()
  }

  /// Whether an error event is among them.
  var hasErrorEvent: Bool { events.contains { $0.hasPrefix(#"{"error""#) } }

  /// The text of an answer that was asked for as a whole; empty when there is none.
  var wholeText: String {
    guard let answer = try? JSON(parsing: Data(data.utf8)) else { return "" }
    return answer["choices"]?[0]?["message"]?["content"]?.text ?? ""
  }

  /// Why the reply is no faultless one: entries have their numbers without a gap, the end stands once and last,
  /// tokens come from one request to one miner and follow each other. nil when all holds.
  var fault: String? { fault(in: text) }

  /// The same of an answer that was asked for as a whole.
  var wholeFault: String? { fault(in: wholeText) }

  private func fault(in text: String) -> String? {
    let numbers = entries.compactMap { $0["n"].flatMap(Int.init) }
    if numbers != Array(1..<(numbers.count + 1)) { return "entries \(numbers)" }
    let ends = entries.indices.filter { entries[$0]["end"] != nil }
    if ends != [entries.count - 1] { return "ends at \(ends) of \(entries.count)" }
    let tokens = text.split(separator: " ").map { $0.split(separator: ".") }
    if tokens.contains(where: { $0.count != 3 }) { return "text \(text)" }
    if Set(tokens.map { $0[0...1].joined(separator: ".") }).count > 1 { return "two answers: \(text)" }
    if tokens.map({ Int($0[2]) }) != (0..<tokens.count).map({ $0 }) { return "tokens \(text)" }
    return nil
  }
}
