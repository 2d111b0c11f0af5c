import Common
import Foundation

/// The processes of a demo.
@IO
final class DemoStack {
  private let context: ServiceContext
  let folder: DemoFolder
  private let namespace: String
  private var children: [(name: String, process: ChildProcess)] = []
  private var isStopping = false
  private var expectedDeaths: Set<Int32> = []
  /// The task table.
  let config: SubnetConfig
  private let configPath: String
  /// The demo's queue.
  let queue: JobQueue
  private let redis: DemoRedis
  /// Fires when users' traffic is to end.
  let ending = Signal()
  /// Fires when it is clear that the demo fails: nothing is waited for any more.
  let gaveUp = Signal()

  init(context: ServiceContext, folder: DemoFolder) async throws {
    self.context = context
    self.folder = folder
    namespace = "vision-demo-" + String(UInt32.random(in: 0 ... .max), radix: 36)
    configPath = try DemoConfig.path(context.settings, folder)
    config = try Files.loadConfig(configPath)
    redis = try await DemoRedis.make(context.settings, folder, namespace: namespace)
    let client = RedisClient(address: try redis.address(), options: .init(name: "vision-demo"))
    queue = JobQueue(redis: client, keys: Keys(namespace: namespace))
  }

  /// The name of a process that ended by itself; nil while all run.
  var failedProcess: String? {
    for child in children where child.process.status != nil {
      guard !expectedDeaths.contains(child.process.pid) else { continue }
      // The producer was told to stop after the last period.
      if child.name.hasPrefix("producer"), child.process.status?.isSuccess == true { continue }
      return "\(child.name) ended by itself: \(child.process.status.map(\.description) ?? "")"
    }
    return nil
  }

  /// The processes whose name begins with `prefix` and that run.
  func running(_ prefix: String) -> [ChildProcess] {
    children.filter { $0.name.hasPrefix(prefix) && $0.process.status == nil }.map(\.process)
  }

  // MARK: start

  func start() async throws {
    let settings = context.settings
    if ownsRedis { try spawnRedis() }
    try await startSimulator()
    let checker = try await portOf(file: "checker.port")
    let common = ["--namespace", namespace, "--config", configPath]
    for number in 1...settings.int("producers") {
      try spawn(
        "producer-\(number)",
        ["vision-producer"] + common + [
          "--roster-file", folder.file("roster.json"), "--period-seconds", String(settings.int("period")),
          "--periods", String(settings.int("periods")), "--miner-networks", "127.0.0.0/8",
        ])
    }
    for number in 1...settings.int("workers") {
      try spawn(
        "worker-\(number)",
        ["vision-workers"] + common + [
          "--lanes", "query", "--grace-ms", "2000", "--miner-networks", "127.0.0.0/8",
        ])
    }
    try spawn(
      "checker-worker",
      ["vision-workers"] + common + [
        "--lanes", "check", "--check-servers", "http://127.0.0.1:\(checker)", "--check-poll-ms", "20",
        "--check-busy-ms", "100", "--check-backoff-ms", "500", "--grace-ms", "2000",
      ])
    for number in 1...settings.int("aggregators") {
      let output = folder.file("weights-\(number).json")
      try spawn(
        "aggregator-\(number)",
        ["vision-aggregator"] + common + [
          "--weights-file", output, "--export-directory", folder.file(DemoFolder.exports),
          // The report reads the whole ledger.
          "--ledger-keep-periods", String(settings.int("periods") + 1),
        ])
    }
  }

  /// Ten in 24 miners cheat; each has an honest twin.
  nonisolated static func behaviours(_ count: Int) -> [String] {
    let cheats = [
      "garbage", "always-429", "slow-drip", "truncates", "refuses", "stalls", "in-band-error", "http-500",
    ]
    let cheating = count * 10 / 24
    return (0..<count).map { $0 < cheating ? cheats[$0 % cheats.count] : "honest" }
  }

  private func startSimulator() async throws {
    let settings = context.settings
    var miners = [
      "vision-simulator", "miners", "--miners", String(settings.int("miners")), "--seed",
      String(settings.int("seed")), "--config", configPath, "--profile", settings.string("profile"),
      "--roster", folder.file("roster.json"), "--truth", folder.file("truth.json"),
    ]
    miners += ["--behaviours", DemoStack.behaviours(settings.int("miners")).joined(separator: ",")]
    try spawn("miners", miners)
    try spawn(
      "checking-server",
      [
        "vision-simulator", "checker", "--seed", String(settings.int("seed")), "--check-time", "15ms",
        "--port-file", folder.file("checker.port"),
      ])
    try await waitForFile("roster.json")
  }

  /// Starts the demo's Redis, also again after a fault.
  func spawnRedis() throws {
    let output = ChildProcess.Output.file(folder.file("redis.log"))
    let command = ChildCommand(redis.serverArguments, folder: folder.path)
    add("redis", try ChildProcess(command, stdout: output, stderr: output))
  }

  /// Whether the demo has a Redis of its own.
  var ownsRedis: Bool { redis.isOwn }

  /// The demo fails: whoever waits, for Redis too, goes on at once.
  func giveUp() {
    gaveUp.fire()
    ending.fire()
    queue.redis.close()
  }

  private func spawn(_ name: String, _ arguments: [String]) throws {
    let variables = redis.environment(of: arguments[0])
    var arguments = arguments
    arguments[0] = Files.program(arguments[0])
    let command = ChildCommand(arguments, adding: variables)
    let output = ChildProcess.Output.file(folder.file(name + ".log"))
    add(name, try ChildProcess(command, stdout: output, stderr: output))
  }

  private func add(_ name: String, _ process: ChildProcess) {
    children.append((name, process))
    _ = process.exited.onFire { [weak self] in
      guard let self, !isStopping, failedProcess != nil else { return }
      giveUp()
    }
  }

  /// A process is about to be killed on purpose.
  func expectDeath(of process: ChildProcess) { expectedDeaths.insert(process.pid) }

  private func waitForFile(_ name: String) async throws {
    for _ in 0..<200 {
      if let size = try? FileManager.default.attributesOfItem(atPath: folder.file(name))[.size] as? Int,
        size > 0
      {
        return
      }
      if let failed = failedProcess { throw DemoFailure(failed) }
      await EventLoop.shared.sleep(milliseconds: 50)
    }
    throw DemoFailure("\(name) was not written in time")
  }

  private func portOf(file name: String) async throws -> Int {
    try await waitForFile(name)
    let text = (try? String(contentsOfFile: folder.file(name), encoding: .utf8)) ?? ""
    guard let port = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
      throw DemoFailure("\(name) holds no port")
    }
    return port
  }

  // MARK: stop

  /// Ends the programs, so that the queue rests; Redis and what is simulated go on.
  func rest() async {
    let simulated = ["redis", "miners", "checking-server"]
    let programs = children.filter { !simulated.contains($0.name) }.map(\.process)
    for process in programs {
      expectDeath(of: process)
      process.signal(SIGTERM)
    }
    await end(programs, graceMilliseconds: 4_000)
  }

  /// Ends every process, Redis last, within five seconds.
  func stop() async {
    guard !isStopping else { return }
    isStopping = true
    ending.fire()
    queue.redis.close()
    let others = children.filter { $0.name != "redis" }.map(\.process)
    for process in others { process.signal(SIGTERM) }
    await end(others, graceMilliseconds: 3_000)
    let redis = children.filter { $0.name == "redis" }.map(\.process)
    await end(redis, graceMilliseconds: 1_000)
    if !ownsRedis, !context.settings.bool("keep") { await forgetKeys() }
  }

  /// Removes the demo's keys from a Redis that was given, within a second; what is left then is said.
  private func forgetKeys() async {
    guard let address = try? redis.address() else { return }
    var options = RedisClient.Options(name: "vision-demo")
    options.commandTimeoutMilliseconds = 1_000
    let redis = RedisClient(address: address, options: options)
    defer { redis.close() }
    let limit = Monotonic.now().advanced(milliseconds: 1_000)
    do throws(RedisError) {
      var cursor = "0"
      repeat {
        let reply = try await redis.send("SCAN", cursor, "MATCH", queue.keys.prefix + "*", "COUNT", "1000")
        cursor = reply[0]?.text ?? "0"
        let found = (reply[1]?.elements ?? []).compactMap(\.text)
        if !found.isEmpty { _ = try await redis.send(RedisCommand(words: ["UNLINK"] + found)) }
      } while cursor != "0" && Monotonic.now() < limit
      if cursor != "0" { print("some keys \(queue.keys.prefix)* are left in Redis") }
    } catch {
      print("the keys \(queue.keys.prefix)* are left in Redis: \(error.message)")
    }
  }

  private func end(_ processes: [ChildProcess], graceMilliseconds: Int) async {
    let tasks = processes.map { process in
      IO.task { @IO in
        if process.status == nil { _ = await process.terminate(graceMilliseconds: graceMilliseconds) }
      }
    }
    for task in tasks { await task.value }
  }
}

/// Where the demo finds programs and files.
enum Files {
  /// A program beside this one.
  static func program(_ name: String) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/" + name
  }

  /// A file of the project: in the working folder, or above the folder of the program.
  static func find(_ name: String) throws -> String {
    var folder = FileManager.default.currentDirectoryPath
    if FileManager.default.fileExists(atPath: folder + "/" + name) { return folder + "/" + name }
    folder = (program("") as NSString).deletingLastPathComponent
    while folder.count > 1 {
      if FileManager.default.fileExists(atPath: folder + "/" + name) { return folder + "/" + name }
      folder = (folder as NSString).deletingLastPathComponent
    }
    throw DemoFailure("\(name) is missing: run the demo in the project's folder")
  }

  static func loadConfig(_ path: String) throws -> SubnetConfig {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw DemoFailure("\(path) cannot be read")
    }
    do throws(ConfigError) {
      return try SubnetConfig(parsing: data)
    } catch {
      throw DemoFailure("\(path): \(error)")
    }
  }
}
