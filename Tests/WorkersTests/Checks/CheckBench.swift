import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Simulator
@testable import Workers

/// Answers that wait to be checked, a simulated checking server, and workers with the real wiring.
@IO
final class CheckBench {
  let queue: JobQueue
  let server: CheckingServer
  let task: TaskConfig
  let period: PeriodSnapshot
  private let namespace: String

  /// The uid that stands for the miner with index `index`: never the index itself.
  static func uid(_ index: Int) -> Int { 100 + index }

  /// Runs `body` with `answers` waiting, from as many miners, and checks the queue's invariants afterwards.
  static func run(
    _ settings: CheckerSettings, answers: Int, _ body: @IO (CheckBench) async throws -> Void
  ) async throws {
    try await TestRedis.withQueue { queue in
      let server = try CheckingServer(settings, port: 0)
      try server.start()
      defer { server.stop() }
      let bench = try await CheckBench(queue, server, answers: answers)
      try await body(bench)
      let report = try await Fsck(queue).run()
      #expect(report.isClean, "\(report.lines.joined(separator: "\n"))")
    }
  }

  private init(_ queue: JobQueue, _ server: CheckingServer, answers: Int) async throws {
    self.queue = queue
    self.server = server
    namespace = String(queue.keys.prefix.prefix { $0 != ":" })
    var task = SimulatedSubnet().tasks[0]
    task.checking = .object([
      "server_needed": .string("llm_server"), "checking_function": .string("check_text_result"),
      "task": .string(task.name), "endpoint": .string("/chat/completions"),
      "load_model_config": .object([
        "model": .string("m"), "tokenizer": .string("t"), "eos_token_id": .integer(2),
      ]),
    ])
    self.task = task
    let now = try await queue.nowMilliseconds() / 1000 * 1000
    let counts = [[Int](repeating: 0, count: answers)]
    var period = try PeriodSnapshot.make(startMilliseconds: now, counts: counts)
    period.tasks = [task]
    for index in 0..<answers { period.miners[index].uid = CheckBench.uid(index) }
    self.period = period
    _ = try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000)
    _ = try await queue.openPeriod(
      leader: "p", snapshot: period, encoded: Array(JSONEncoder().encode(period)), seed: 1,
      pacePerSecond: 1, burst: 1)
    _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), task.name, "{}")
    for index in 0..<answers { try await offer(index) }
  }

  /// One miner's faultless answer.
  private func offer(_ miner: Int) async throws {
    let payload = CheckBench.payload(seed: miner)
    let chunks = ReferenceModel.tokens(for: payload).map { token in
      let text = JSON.string(Vocabulary.tokens[token.index])
      let measured = JSON.object(["token": text, "logprob": .number(-0.5)])
      return JSON.object([
        "choices": .array([
          .object([
            "delta": .object(["content": text]),
            "logprobs": .object(["content": .array([measured])]),
          ])
        ])
      ])
    }
    let answer = payload.canonicalText() + "\n" + JSON.array(chunks).canonicalText()
    #expect(try await queue.submit(id: "o\(miner)", task: task.name, payload: []) == .created)
    let claim = try await queue.claim(
      worker: "t", request: miner + 1, nonce: "n\(miner)", organicMax: 1, syntheticMax: 0,
      organicLeaseMilliseconds: 60_000, syntheticLeaseMilliseconds: 60_000)
    let grant = try #require(claim.grants.first)
    let entry = AttemptEntry(
      job: grant.id, kind: .organic, period: period.id, task: task.name,
      hotkey: period.miners[miner].hotkey, outcome: .ok, status: 200, workMilli: 1, units: 4,
      firstContentMilliseconds: 5, totalMilliseconds: 9, settles: false)
    let sample = Sample(waitingMax: 100, bytesMax: 1 << 24, answer: Array(answer.utf8))
    let end = Settlement(
      id: grant.id, token: grant.token, state: .done,
      attempts: [SettledAttempt(entry: entry, miner: miner)], sample: sample, last: [("end", "done")])
    #expect(try await queue.settle([end]) == [.ok])
  }

  private static func payload(seed: Int) -> JSON {
    let message: JSON = .object(["role": .string("user"), "content": .string("Hello")])
    return .object([
      "messages": .array([message]), "temperature": .number(0.5), "seed": .integer(seed),
      "max_tokens": .integer(20),
    ])
  }

  // MARK: workers

  /// A worker that only checks, with a pace for tests.
  struct Running {
    let stopping: Signal
    let ended: Task<ExitCode, Never>

    /// Asks it to stop and waits until it did.
    @IO func stop() async {
      stopping.fire()
      _ = await ended.value
    }
  }

  /// Starts a worker. `url` stands for the server's own URL.
  func work(url: String? = nil, _ more: [String] = []) throws -> Running {
    let table = SettingsTable(
      program: "vision-workers", about: "", settings: CommonSettings.service + WorkerSettings.own)
    let arguments =
      [
        "--namespace", namespace, "--lanes", "check", "--check-servers",
        url ?? "http://127.0.0.1:\(server.port)", "--check-poll-ms", "10",
        "--check-busy-ms", "10", "--check-backoff-ms", "10", "--check-lease-ms", "1000",
      ] + more
    let request = try table.parse(
      arguments: arguments, environment: try TestRedis.environment(as: .worker), readFile: SettingsFile.read)
    guard case .run(let settings) = request else { preconditionFailure("no settings") }
    let context = ServiceContext(settings: settings, log: .shared)
    let service = try WorkerService(context)
    return Running(stopping: context.stopping, ended: Task { @IO in await service.run() })
  }

  /// Waits for `count` verdicts, at most 30 s, and returns those that came.
  func verdicts(_ count: Int) async throws -> [VerdictEntry] {
    let reader = RedisClient(address: try TestRedis.address(), options: .init(name: "test-ledger"))
    defer { reader.close() }
    let deadline = Monotonic.now().advanced(milliseconds: 30_000)
    while true {
      let records = try await queue.readLedger(after: "", limit: 5_000)
      let found = records.compactMap { record -> VerdictEntry? in
        if case .verdict(let verdict)? = record.entry { return verdict }
        return nil
      }
      if found.count >= count || deadline <= Monotonic.now() { return found }
      let last = records.last?.id ?? "0"
      _ = try await reader.send(
        RedisCommand(
          "XREAD", "BLOCK", "1000", "COUNT", "1", "STREAMS", queue.keys.fixed(.ledger), last),
        timeoutMilliseconds: 5_000)
    }
  }

  /// Expects one verdict for each of the answers, all of the same state, and nothing left behind.
  func expectVerdicts(
    _ count: Int, _ state: VerdictEntry.State, score: Double? = nil,
    _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let found = try await verdicts(count)
    #expect(Set(found.map(\.attempt.hotkey)).count == count, sourceLocation: location)
    #expect(found.count == count, sourceLocation: location)
    #expect(Set(found.map(\.check)).count == found.count, sourceLocation: location)
    for verdict in found {
      #expect(verdict.state == state && verdict.score == score, "\(verdict)", sourceLocation: location)
    }
    let counters = try await queue.redis.send("HGETALL", queue.keys.fixed(.checks)).fields ?? [:]
    #expect(counters["bytes"] == "0", sourceLocation: location)
    #expect(counters["waiting:\(task.name)"] == "0", sourceLocation: location)
    #expect(counters[state.rawValue] == String(count), sourceLocation: location)
  }

  /// Waits until `condition` holds, at most 30 s. Nothing tells of what other programs write into records.
  func until(_ condition: @IO () async throws -> Bool) async throws {
    let deadline = Monotonic.now().advanced(milliseconds: 30_000)
    while try await !condition() {
      try #require(Monotonic.now() < deadline)
      await EventLoop.shared.sleep(milliseconds: 2)
    }
  }
}
