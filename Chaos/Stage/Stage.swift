import Common
import Foundation
import Glibc

/// What one case plays on: a Redis of its own with the shipped configuration, the real programs, miners that
/// keep a journal, users, and the evidence of all of it. Everything ends with the case.
@IO
final class Stage {
  let parameters: StageParameters
  let folder: String
  let evidence: Evidence
  /// The queue, on a connection that no fault touches.
  private(set) var queue: JobQueue
  let redisSocket: String
  /// Where programs find Redis, unless they are told another way.
  private(set) var redisURL: String
  var random: SeededRandom
  /// What the case gave so far.
  private(set) var figures: [Figure] = []
  /// The seed of the period's plan.
  let periodSeed: UInt64
  var snapshot: PeriodSnapshot?
  /// The last run of users, to be waited for.
  var users: [Users] = []
  var proxies: [RedisProxy] = []
  private(set) var children: [StageProcess] = []
  private var files = 0
  static let namespace = "chaos"

  init(_ parameters: StageParameters) throws {
    self.parameters = parameters
    random = SeededRandom(seed: UInt64(parameters.seed), parameters.name)
    periodSeed = UInt64(random.below(1 << 30))
    var template = Array((FileManager.default.temporaryDirectory.path + "/vision-chaos-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw ChaosFailure("no folder can be made") }
    folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    redisSocket = folder + "/redis.sock"
    redisURL = "unix://" + redisSocket
    evidence = try Evidence(path: folder + "/evidence")
    let redis = RedisClient(address: try RedisAddress(url: redisURL), options: .init(name: "chaos"))
    queue = JobQueue(redis: redis, keys: Keys(namespace: Stage.namespace))
  }

  /// Turns to another Redis, before anything was started.
  func follow(_ url: String) throws {
    queue.redis.close()
    redisURL = url
    let redis = RedisClient(address: try RedisAddress(url: url), options: .init(name: "chaos"))
    queue = JobQueue(redis: redis, keys: queue.keys)
  }

  // MARK: figures

  func show(_ promise: String, _ value: Int, _ unit: String = "", _ aim: Figure.Aim = .shown) {
    show(promise, Double(value), unit, aim)
  }

  func show(_ promise: String, _ value: Double, _ unit: String = "", _ aim: Figure.Aim = .shown) {
    figures.append(Figure(promise: promise, value: value, unit: unit, aim: aim))
  }

  // MARK: processes

  /// A new name in the case's folder.
  func file(_ name: String) -> String {
    files += 1
    return "\(folder)/\(files)-\(name)"
  }

  /// Starts a program; what it says goes to a file of its own.
  func start(_ name: String, _ arguments: [String], adding: [String: String] = [:]) throws -> StageProcess {
    let log = file(name + ".log")
    let output = ChildProcess.Output.file(log)
    let process = try ChildProcess(
      ChildCommand(arguments, adding: adding, folder: folder), stdout: output, stderr: output)
    let child = StageProcess(name: name, process: process, log: log)
    children.append(child)
    return child
  }

  /// A program of the package, as it was built beside this one.
  nonisolated static func program(_ name: String) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/" + name
  }

  /// The shipped configuration: in the working folder, or above the folder of this program.
  nonisolated static func configuration() throws -> String {
    var folder = FileManager.default.currentDirectoryPath
    for start in [folder, program("")] {
      folder = start
      while folder.count > 1 {
        let path = folder + "/redis.conf"
        if FileManager.default.fileExists(atPath: path) { return path }
        folder = (folder as NSString).deletingLastPathComponent
      }
    }
    throw ChaosFailure("redis.conf is missing: run scripts/chaos")
  }

  /// Ends everything that runs, and removes the folder unless it is kept.
  func end(keeping: Bool) async {
    for each in users { await each.end() }
    for proxy in proxies { proxy.close() }
    // Users and what a proxy calls hold the stage.
    (users, proxies) = ([], [])
    queue.redis.close()
    let endings = children.map { child in
      IO.task { @IO in
        child.process.signal(SIGCONT)
        if child.process.status == nil { await child.process.terminate(graceMilliseconds: 500) }
      }
    }
    for ending in endings { await ending.value }
    evidence.close()
    if keeping {
      Chaos.complain("\(parameters.name): evidence and logs are in \(folder)\n")
    } else {
      try? FileManager.default.removeItem(atPath: folder)
    }
  }

  /// The last lines of every log, for whoever looks into a failure.
  var lastWords: String {
    children.suffix(12).map { child in
      let text = (try? String(contentsOfFile: child.log, encoding: .utf8)) ?? ""
      let status = child.process.status.map { " (\($0))" } ?? ""
      return text.split(separator: "\n").suffix(3).map { "  \(child.name)\(status): \($0)\n" }.joined()
    }.joined()
  }

  // MARK: waiting

  /// Waits until `condition` holds. Redis may be away meanwhile.
  func wait(seconds: Int, for what: String, until condition: @IO () async throws -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: seconds * 1000)
    while true {
      do {
        if try await condition() { return }
      } catch let error as RedisError {
        guard error.isTransient else { throw error }
      }
      try Task.checkCancellation()
      guard Monotonic.now() < limit else { throw ChaosFailure("waited \(seconds) s in vain for \(what)") }
      await EventLoop.shared.sleep(milliseconds: 20)
    }
  }

  /// Lets time pass.
  func pass(milliseconds: Int) async throws {
    await EventLoop.shared.sleep(milliseconds: milliseconds)
    try Task.checkCancellation()
  }

  /// A command on the untouched connection, given again while Redis is away.
  @discardableResult
  func redis(_ words: String...) async throws -> RedisReply {
    let limit = Monotonic.now().advanced(milliseconds: 30_000)
    while true {
      do throws(RedisError) {
        return try await queue.redis.send(RedisCommand(words: words))
      } catch {
        guard error.isTransient, Monotonic.now() < limit, !Task.isCancelled else { throw error }
        await EventLoop.shared.sleep(milliseconds: 20)
      }
    }
  }
}

/// A program on the stage.
@IO
final class StageProcess {
  let name: String
  let process: ChildProcess
  let log: String

  init(name: String, process: ChildProcess, log: String) {
    self.name = name
    self.process = process
    self.log = log
  }

  var pid: Int32 { process.pid }
  var isRunning: Bool { process.status == nil }

  /// Kills it as a crash would, and waits until the system has taken it away.
  func kill() async {
    process.signal(SIGKILL)
    _ = await process.waitForExit()
  }

  /// All that it wrote so far.
  var text: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
}
