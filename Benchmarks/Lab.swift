import Common
import Foundation
import Glibc

/// Why a benchmark could not be run.
struct BenchFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// The processes and files of a run: all are gone when it ends.
///
/// Redis and the servers that answer run on one core; this process and the worker under test, which inherit
/// what the starting script chose, on the other.
@IO
final class Lab {
  /// A server and where it listens.
  struct Server {
    let process: ChildProcess
    let ports: [Int]
    var port: Int { ports[0] }
    var url: String { "http://127.0.0.1:\(port)" }
  }

  /// Length of one measurement.
  let seconds: Double
  /// Measurements of each figure; the middle one counts.
  static let rounds = 3

  let serverCore: Int
  /// The cores that this process was started on; it may be elsewhere later.
  let ownCores: String
  private var isMoved = false
  private let folder: String
  private var children: [ChildProcess] = []
  private var files = 0
  private(set) var redis: RedisClient
  private(set) var redisProcess: ChildProcess?
  let redisSocket: String
  /// The Python of each list of requirements with `--peers`; empty without.
  var pythons: [String: String] = [:]
  private let address: RedisAddress

  init(seconds: Double, serverCore: Int) throws {
    self.seconds = seconds
    self.serverCore = serverCore
    ownCores = ProcessFigures.cores()
    var template = Array((FileManager.default.temporaryDirectory.path + "/vision-bench-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw BenchFailure("no folder can be made for the run") }
    folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    redisSocket = folder + "/redis.sock"
    address = try RedisAddress(url: "unix://" + redisSocket)
    redis = RedisClient(address: address, options: .init(name: "bench"))
  }

  /// A new name in the run's folder.
  func file(_ name: String) -> String {
    files += 1
    return "\(folder)/\(files)-\(name)"
  }

  // MARK: processes

  /// Starts the run's Redis: the shipped configuration, but nothing is written to the disk.
  func startRedis() async throws {
    let process = try start(
      [
        "redis-server", try Lab.find("redis.conf"), "--port", "0", "--unixsocket", redisSocket, "--dir",
        folder,
        "--daemonize", "no", "--busy-reply-threshold", "10000", "--appendonly", "no", "--save", "",
        "--maxmemory", "4gb", "--logfile", "",
      ], isServer: true)
    redisProcess = process
    _ = try await redis.send("PING")
  }

  /// Starts a server program that writes its ports to the file that `--port-file` names.
  func serve(_ arguments: [String]) async throws -> Server {
    let path = file("port")
    let process = try start(arguments + ["--port-file", path], isServer: true)
    for _ in 0..<200 {
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      let ports = text.split(separator: "\n").compactMap { Int($0) }
      if !ports.isEmpty { return Server(process: process, ports: ports) }
      try Task.checkCancellation()
      guard process.status == nil else { break }
      await EventLoop.shared.sleep(milliseconds: 25)
    }
    throw BenchFailure("\(arguments[0]) does not serve")
  }

  /// The simulator's load source.
  func flood(_ arguments: String...) async throws -> Server {
    try await serve([Lab.program("vision-simulator"), "flood"] + arguments)
  }

  /// Starts a program, on the servers' core or on our own.
  func start(_ arguments: [String], isServer: Bool) throws -> ChildProcess {
    let cores = isServer ? String(serverCore) : ownCores
    let pinned = isServer || isMoved ? ["taskset", "-c", cores] + arguments : arguments
    let log = ChildProcess.Output.file(file("log"))
    let process = try ChildProcess(ChildCommand(pinned, folder: folder), stdout: log, stderr: log)
    children.append(process)
    return process
  }

  /// Moves this process to the servers' core: what it measures from there has the other one for itself.
  func moveToServers() async throws { try await move(to: String(serverCore), isMoved: true) }

  /// Moves it back.
  func moveBack() async throws { try await move(to: ownCores, isMoved: false) }

  private func move(to cores: String, isMoved: Bool) async throws {
    let command = ChildCommand(["taskset", "-acp", cores, String(getpid())])
    let result = try await ChildProcess.run(
      command, limits: ChildLimits(stdoutMaxBytes: 65_536, stderrMaxBytes: 65_536, timeoutMilliseconds: 5_000)
    )
    guard case .exited(0) = result.status else {
      throw BenchFailure("this process cannot be moved to core \(cores)")
    }
    self.isMoved = isMoved
  }

  /// The words that start a program which other programs of the machine do not get in the way of: a lower nice value
  /// alone lets them finish their 2 ms. Empty without the right to it.
  func beforeAllOthers() async -> [String] {
    let words = ["chrt", "--rr", "1"]
    let limits = ChildLimits(stdoutMaxBytes: 65_536, stderrMaxBytes: 65_536, timeoutMilliseconds: 5_000)
    let result = try? await ChildProcess.run(ChildCommand(words + ["true"], folder: folder), limits: limits)
    guard case .exited(0) = result?.status else { return [] }
    return words
  }

  /// Another connection to the run's Redis.
  func anotherClient(_ options: RedisClient.Options = .init(name: "bench-reader")) -> RedisClient {
    RedisClient(address: address, options: options)
  }

  /// Ends a process of this run.
  func end(_ process: ChildProcess) async {
    if process.status == nil { await process.terminate(graceMilliseconds: 1_000) }
    children.removeAll { $0 === process }
  }

  /// The last lines of each log that holds any, for whoever looks into a failure.
  func logTails() -> String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().filter { $0.hasSuffix("-log") }.map { name in
      let text = (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").suffix(4).map { "  \($0)\n" }.joined()
    }.joined()
  }

  /// Ends everything and removes the folder.
  func stop() async {
    redis.close()
    let endings = children.map { child in IO.task { @IO in await self.end(child) } }
    for ending in endings { await ending.value }
    try? FileManager.default.removeItem(atPath: folder)
  }

  // MARK: where things are

  /// A program beside this one.
  static func program(_ name: String) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/" + name
  }

  /// A file of this project.
  static func find(_ name: String) throws -> String {
    let path = FileManager.default.currentDirectoryPath + "/" + name
    guard FileManager.default.fileExists(atPath: path) else {
      throw BenchFailure("\(name) is missing: run scripts/bench")
    }
    return path
  }
}
