import Common
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Vision

/// The built programs at work on one queue, with simulated miners behind real HTTP.
@IO
final class PipelineBench {
  let queue: JobQueue
  private let folder: String
  private var processes: [ChildProcess] = []

  private init(_ queue: JobQueue) throws {
    self.queue = queue
    folder = FileManager.default.temporaryDirectory.path + "/vp-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try ShortTable.data().write(to: URL(filePath: file("config.json")))
  }

  /// Runs `body` with a namespace of its own, ends all processes, and checks the queue's invariants.
  static func run(_ body: @IO (PipelineBench) async throws -> Void) async throws {
    try await TestRedis.withQueue { queue in
      let bench = try PipelineBench(queue)
      do {
        try await body(bench)
        await bench.close()
      } catch {
        Issue.record("\(bench.logs)")
        await bench.close()
        throw error
      }
      let report = try await Fsck(queue).run()
      #expect(report.isClean, "\(report.lines.joined(separator: "\n"))")
    }
  }

  private func close() async {
    for process in processes { process.signal(SIGTERM) }
    for process in processes where process.status == nil {
      await process.terminate(graceMilliseconds: 5_000)
    }
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// The last lines of every log.
  private var logs: String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".log") }.sorted().map { name in
      let text = (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)) ?? ""
      return name + ":\n" + text.split(separator: "\n").suffix(8).joined(separator: "\n")
    }.joined(separator: "\n")
  }

  /// What the program with this name logged so far.
  func log(_ name: String) -> String {
    // Not as a String at once: of an empty file Foundation 6.3 leaks its buffer.
    let handle = FileHandle(forReadingAtPath: file(name + ".log"))
    return String(decoding: (try? handle?.readToEnd()) ?? Data(), as: UTF8.self)
  }

  /// The path of a file in the bench's folder.
  func file(_ name: String) -> String { folder + "/" + name }

  /// The settings that point a program at the queue, under its role.
  func environment(of program: String) throws -> [String: String] {
    let roles: [String: RedisRole] = [
      "vision-producer": .producer, "vision-workers": .worker, "vision-aggregator": .aggregator,
    ]
    let own = [
      "VISION_NAMESPACE": String(queue.keys.prefix.prefix { $0 != ":" }),
      "VISION_CONFIG": file("config.json"),
    ]
    return try TestRedis.environment(as: roles[program] ?? .admin).merging(own) { $1 }
  }

  // MARK: programs

  /// Starts a program whose log gets this name.
  @discardableResult
  func start(_ name: String, _ program: String, _ flags: [String]) throws -> ChildProcess {
    let command = ChildCommand([BuiltProgram(program).path] + flags, adding: try environment(of: program))
    let output = ChildProcess.Output.file(file(name + ".log"))
    let process = try ChildProcess(command, stdout: output, stderr: output)
    processes.append(process)
    return process
  }

  /// Serves miners of the given kinds, and waits for their roster.
  func serveMiners(_ kinds: [String]) async throws {
    try start(
      "miners", "vision-simulator",
      [
        "miners", "--miners", String(kinds.count), "--behaviours", kinds.joined(separator: ","), "--config",
        file("config.json"), "--roster", file("roster.json"),
      ])
    try await until { FileManager.default.fileExists(atPath: file("roster.json")) }
  }

  /// Starts a producer of periods of the given length.
  @discardableResult
  func produce(_ name: String = "producer", periodSeconds: Int, periods: Int? = nil) throws -> ChildProcess {
    let end = periods.map { ["--periods", String($0)] } ?? []
    return try start(
      name, "vision-producer",
      [
        "--roster-file", file("roster.json"), "--period-seconds", String(periodSeconds), "--miner-networks",
        "127.0.0.0/8",
      ] + end)
  }

  /// Starts a query worker with short leases.
  @discardableResult
  func work(_ name: String) throws -> ChildProcess {
    try start(
      name, "vision-workers",
      [
        "--lanes", "query", "--organic-lease-ms", "1000", "--synthetic-lease-ms", "1000", "--grace-ms",
        "1000", "--miner-networks", "127.0.0.0/8",
      ])
  }

  // MARK: what there is

  /// Waits until `condition` holds, a minute at most. Nothing tells of what programs write.
  func until(_ condition: @IO () async throws -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while try await !condition() {
      try #require(Monotonic.now() < limit)
      await EventLoop.shared.sleep(milliseconds: 5)
    }
  }

  /// Waits until a period is open. Returns its snapshot.
  func period() async throws -> PeriodSnapshot {
    try await until { try await self.queue.openPeriods().isEmpty == false }
    let id = try #require(try await queue.openPeriods().first)
    let stored = try #require(try await queue.storedPlan(id))
    return try JSONDecoder().decode(PeriodSnapshot.self, from: Data(stored.snapshot))
  }

  /// The ledger's entries, in order.
  func ledger() async throws -> [LedgerEntry] {
    var entries: [LedgerEntry] = []
    var cursor = ""
    while true {
      let records = try await queue.readLedger(after: cursor, limit: 1_000)
      entries += records.compactMap(\.entry)
      cursor = records.last?.id ?? cursor
      if records.count < 1_000 { return entries }
    }
  }

  /// The jobs that the worker process with this id runs.
  func held(by process: ChildProcess) async throws -> [String] {
    let workers = try await StatusReport.read(queue).workers
    guard let worker = workers.first(where: { $0.fields["pid"] == String(process.pid) }) else { return [] }
    let leases = try await queue.redis.send("ZRANGE", queue.keys.fixed(.lease), "0", "-1")
    var jobs: [String] = []
    for id in (leases.elements ?? []).compactMap(\.text) {
      if try await queue.redis.send("HGET", queue.keys.job(id), "worker").text == worker.id {
        jobs.append(id)
      }
    }
    return jobs
  }
}
