import Common
import Foundation
import Glibc

/// A period with one miner and one task in a namespace of its own, and a worker that serves it.
@IO
final class Scene {
  private static var number = 0

  private let lab: Lab
  private let namespace: String
  let queue: JobQueue
  let snapshot: PeriodSnapshot
  /// The workers under test.
  private(set) var workers: [ChildProcess] = []
  /// The one that was started last.
  var worker: ChildProcess? { workers.last }
  private var ids: [String] = []
  private var submissions = 0

  /// What the period's one task is.
  enum Kind { case chat, image }

  /// The task of the second miner.
  static let probeTask = "probe"

  /// Opens a period whose one miner is at `url`, with `planned` queries of it; with `probe` a second miner
  /// serves a task of its own there, of which nothing is planned.
  /// - Parameter pacePerSecond: how many overdue queries may start in a second.
  init(
    _ lab: Lab, _ kind: Kind, url: String, planned: Int = 0, probe: String? = nil, pacePerSecond: Double = 1e6
  ) async throws {
    self.lab = lab
    Scene.number += 1
    namespace = "bench-\(Scene.number)"
    queue = JobQueue(redis: lab.redis, keys: Keys(namespace: namespace))
    let now = try await queue.nowMilliseconds() / 1000 * 1000
    snapshot = PeriodSnapshot(
      id: PeriodID(startSeconds: now / 1000), startMilliseconds: now, endMilliseconds: now + 3_600_000,
      profile: "vision", validatorHotkey: "validator",
      tasks: [try Scene.task(kind, "bench")] + (probe == nil ? [] : [try Scene.task(.chat, Scene.probeTask)]),
      miners: [MinerRecord(hotkey: "miner", uid: 0, address: url)]
        + (probe.map { [MinerRecord(hotkey: "probe", uid: 1, address: $0)] } ?? []),
      capacities: probe == nil ? [[1e9]] : [[1e9, 0], [0, 1e9]],
      testVolumes: probe == nil ? [[1e9]] : [[1e9, 0], [0, 1e9]],
      counts: probe == nil ? [[planned]] : [[planned, 0], [0, 0]], configDigest: "bench")
    let about = #"{"shape":"chat"}"#
    _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "bench", "{}", Scene.probeTask, about)
    guard try await queue.lead(role: "producer", token: "bench", lifeMilliseconds: 600_000) else {
      throw BenchFailure("somebody else plans")
    }
    let encoded = Array(try JSONEncoder().encode(snapshot))
    _ = try await queue.openPeriod(
      leader: "bench", snapshot: snapshot, encoded: encoded, seed: 1,
      pacePerSecond: pacePerSecond, burst: pacePerSecond)
    if planned > 0 { try await schedule(planned) }
  }

  private static func task(_ kind: Kind, _ name: String) throws -> TaskConfig {
    let own =
      switch kind {
      case .chat: #""kind": "text", "shape": "chat", "stream": true, "max_tokens": [50, 2000]"#
      case .image:
        #""kind": "image", "shape": "text-to-image", "stream": false, "steps": [6, 12], "size": [1024, 1024]"#
      }
    let text = """
      {"name": "\(name)", \(own), "weight": 1, "max_capacity": 1000000, "volume_per_request": 10,
       "path": "/bench", "model": "bench", "timeouts": {"connect_ms": 30000, "first_content_ms": 60000,
       "stall_ms": 600000, "total_ms": 600000}}
      """
    return try JSONDecoder().decode(TaskConfig.self, from: Data(text.utf8))
  }

  /// All queries are due at once.
  private func schedule(_ planned: Int) async throws {
    for (chunk, first) in stride(from: 0, to: planned, by: 100).enumerated() {
      let last = min(first + 100, planned)
      let jobs = (first..<last).map { number in
        let job = SyntheticJob(period: snapshot.id, task: "bench", miner: 0, number: number)
        return (dueMilliseconds: snapshot.startMilliseconds, id: job.description)
      }
      let result = try await queue.schedule(
        leader: "bench", period: snapshot.id, chunk: chunk, isLast: last == planned, volumes: [], jobs: jobs)
      guard result == .next(chunk + 1) else { throw BenchFailure("the plan cannot be scheduled: \(result)") }
      try Task.checkCancellation()
    }
  }

  // MARK: the worker

  /// Starts a worker under test, with room for answers of any length and leases that no pause ends; by another
  /// command if one is given.
  func startWorker(slots: Int, by command: [String] = []) async throws {
    let bytesMax = String(1 << 30)
    try await startWorker(
      [
        "--slots", String(slots), "--reply-bytes-max", bytesMax, "--response-bytes-max", bytesMax,
        "--organic-lease-ms", "60000", "--grace-ms", "0",
      ], by: command)
  }

  /// Starts a worker with these settings, and the defaults of all others.
  func startWorker(_ settings: [String], by command: [String] = []) async throws {
    let before = try await records().count
    let started = try lab.start(
      (command.isEmpty ? [Lab.program("vision-workers")] : command) + [
        "--redis-url", "unix://" + lab.redisSocket, "--namespace", namespace, "--miner-networks",
        "127.0.0.0/8",
      ] + settings, isServer: false)
    workers.append(started)
    try await wait(seconds: command.isEmpty ? 20 : 60, for: "the worker to start") {
      try await self.records().count > before
    }
  }

  private func records() async throws -> [String] {
    (try await queue.redis.send("KEYS", queue.keys.worker("*")).elements ?? []).compactMap(\.text)
  }

  /// The key of the worker's record.
  func workerRecord() async throws -> String {
    guard let key = try await records().first else { throw BenchFailure("the worker has no record") }
    return key
  }

  /// The worker's process id.
  var workerID: Int32 { get throws { try runningWorker().pid } }

  private func runningWorker() throws -> ChildProcess {
    guard let worker, worker.status == nil else { throw BenchFailure("the worker does not run") }
    return worker
  }

  /// Kills the worker (SIGKILL), and tells when.
  func killWorker() async throws -> Monotonic {
    let worker = try runningWorker()
    let moment = Monotonic.now()
    worker.signal(SIGKILL)
    _ = await worker.waitForExit()
    await lab.end(worker)
    workers.removeAll { $0 === worker }
    return moment
  }

  /// Ends the workers and drops all that the scene stored.
  func end() async throws {
    for worker in workers { await lab.end(worker) }
    workers = []
    _ = try await queue.redis.send("FLUSHALL", "SYNC")
  }

  // MARK: users' requests

  /// Submits requests and waits until each has its first content.
  func openStreams(_ count: Int) async throws {
    try await submit(count)
    try await wait(seconds: 60, for: "\(count) streams") { try await self.progress().streams == count }
  }

  /// Submits requests and waits until each is answered to its end.
  func answerAll(_ count: Int) async throws {
    try await submit(count)
    try await wait(seconds: 120, for: "\(count) answers") { try await self.progress().ended == count }
  }

  /// Submits requests; the number of each is its seed.
  func submit(_ count: Int) async throws {
    submissions += 1
    ids = (0..<count).map { "bench-\(submissions)-\($0)" }
    let messages = #"{"messages":[{"role":"user","content":"Tell me about lighthouses."}],"seed":"#
    for start in stride(from: 0, to: count, by: 100) {
      let tasks = (start..<min(start + 100, count)).map { number in
        let (id, payload) = (ids[number], Array("\(messages)\(number)}".utf8))
        return IO.task { @IO [queue] in try await queue.submit(id: id, task: "bench", payload: payload) }
      }
      for task in tasks {
        let result = try await task.value
        guard result == .created else { throw BenchFailure("a request was not taken: \(result)") }
      }
    }
  }

  /// Drops the replies of the last requests, which would be kept for an hour.
  func dropReplies() async throws {
    for id in ids { _ = try await queue.redis.send("UNLINK", queue.keys.reply(id)) }
  }

  /// How far all replies are.
  struct Progress {
    /// Streams with content, and those among them that ended and that ended well.
    var streams = 0
    var ended = 0
    var done = 0
    /// Entries written, and bytes in them.
    var pieces = 0
    var bytes = 0
    var at = Monotonic.now()
  }

  /// Reads how far all replies are, a few hundred jobs at a time.
  func progress() async throws -> Progress {
    var progress = Progress()
    for start in stride(from: 0, to: ids.count, by: 500) {
      let reads = ids[start..<min(start + 500, ids.count)].map { id in
        let key = queue.keys.job(id)
        let reply = queue.keys.reply(id)
        return IO.task { @IO [queue] in
          let record = try await queue.redis.send("HMGET", key, "state", "bytes")
          // A reply that ended is not read: it may hold a whole answer in one entry.
          guard record[0]?.text == "running" else {
            return (record, try await queue.redis.send("XLEN", reply))
          }
          return (record, try await queue.redis.send("XREVRANGE", reply, "+", "-", "COUNT", "1"))
        }
      }
      for read in reads {
        let (record, reply) = try await read.value
        guard let state = record[0]?.text else { continue }
        if state != "running", state != "waiting" { progress.ended += 1 }
        if state == "done" { progress.done += 1 }
        let last = reply[0]?[1]?.fields
        let bytes = last?["bytes"].flatMap { Int($0) } ?? record[1]?.int ?? 0
        if bytes > 0 { progress.streams += 1 }
        progress.bytes += bytes
        progress.pieces += last?["n"].flatMap { Int($0) } ?? max(0, (reply.int ?? 0) - 1)
      }
    }
    return progress
  }

  /// Bytes of one token's event in a reply: every one is alike but the first, which has the role too.
  func bytesPerToken() async throws -> Double {
    guard let id = ids.first,
      let entry = try await queue.redis.send("XREVRANGE", queue.keys.reply(id), "+", "-", "COUNT", "1")[0],
      let text = entry[1]?.fields?["data"]
    else { throw BenchFailure("no reply has content") }
    let events = text.components(separatedBy: "data: ").count - 1
    return Double(text.utf8.count) / Double(max(1, events))
  }

  /// Waits until `condition` holds.
  func wait(
    seconds: Int, for what: String, pauseMilliseconds: Int = 100, until condition: @IO () async throws -> Bool
  ) async throws {
    let limit = Monotonic.now().advanced(milliseconds: seconds * 1000)
    while try await !condition() {
      try Task.checkCancellation()
      if let worker, let status = worker.status { throw BenchFailure("the worker ended: \(status)") }
      guard Monotonic.now() < limit else {
        throw BenchFailure("waited \(seconds) s in vain for \(what): \(try await progress())")
      }
      await EventLoop.shared.sleep(milliseconds: pauseMilliseconds)
    }
  }
}
