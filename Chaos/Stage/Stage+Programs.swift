import Common
import Foundation
import Glibc

extension Stage {
  // MARK: Redis

  /// Starts Redis with the shipped configuration, reachable through a socket only, and waits until it
  /// answers. What it had written before is read again.
  @discardableResult
  func startRedis(_ settings: [String] = [], adding: [String: String] = [:]) async throws -> StageProcess {
    let redis = try launchRedis(settings, adding: adding)
    try await wait(seconds: 30, for: "Redis") {
      guard redis.isRunning else { throw ChaosFailure("Redis ended: \(redis.text.suffix(300))") }
      return try await self.queue.redis.send("PING").text == "PONG"
    }
    return redis
  }

  /// The same without waiting.
  func launchRedis(_ settings: [String] = [], adding: [String: String] = [:]) throws -> StageProcess {
    try start(
      "redis",
      [
        "redis-server", try Stage.configuration(), "--port", "0", "--unixsocket", redisSocket, "--dir",
        folder,
        "--daemonize", "no", "--logfile", "", "--maxmemory", "2gb",
      ] + settings, adding: adding)
  }

  /// A proxy in front of Redis.
  func proxy() throws -> RedisProxy {
    let proxy = try RedisProxy(upstream: redisSocket, seed: UInt64(parameters.seed) + UInt64(proxies.count))
    proxies.append(proxy)
    return proxy
  }

  // MARK: miners

  /// Starts a server that answers like a miner and keeps its journal in the evidence. Returns its address.
  func startMiner(tokens: Int, perSecond: Double, _ more: [String] = []) async throws -> String {
    let port = file("port")
    let miner = try start(
      "miner",
      [
        Stage.program("vision-simulator"), "flood", "--tokens", String(tokens), "--tokens-per-second",
        String(perSecond), "--port-file", port, "--journal", evidence.path,
      ] + more)
    var number: Int?
    try await wait(seconds: 20, for: "the miner") {
      guard miner.isRunning else { throw ChaosFailure("the miner ended: \(miner.text.suffix(300))") }
      let text = (try? String(contentsOfFile: port, encoding: .utf8)) ?? ""
      number = Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
      return number != nil
    }
    return "http://127.0.0.1:\(number ?? 0)"
  }

  // MARK: workers

  /// How a worker is started.
  struct WorkerSettings {
    var slots = 64
    var graceMilliseconds = 5_000
    /// nil for the program's own.
    var organicLeaseMilliseconds: Int?
    var syntheticLeaseMilliseconds: Int?
    /// Where it finds Redis; nil for the socket.
    var url: String?
    var more: [String] = []
    var environment: [String: String] = [:]
  }

  /// Starts a query worker and waits until Redis knows it.
  @discardableResult
  func startWorker(_ settings: WorkerSettings = WorkerSettings()) async throws -> StageProcess {
    let worker = try launchWorker(settings)
    try await wait(seconds: 30, for: "the worker to start") {
      guard worker.isRunning else { throw ChaosFailure("the worker ended: \(worker.text.suffix(300))") }
      return try await self.id(of: worker) != nil
    }
    return worker
  }

  /// Starts a query worker.
  func launchWorker(_ settings: WorkerSettings = WorkerSettings()) throws -> StageProcess {
    var arguments = [
      Stage.program("vision-workers"), "--redis-url", settings.url ?? redisURL, "--namespace",
      Stage.namespace, "--lanes", "query", "--slots", String(settings.slots), "--grace-ms",
      String(settings.graceMilliseconds), "--miner-networks", "127.0.0.0/8",
    ]
    if let lease = settings.organicLeaseMilliseconds { arguments += ["--organic-lease-ms", String(lease)] }
    if let lease = settings.syntheticLeaseMilliseconds {
      arguments += ["--synthetic-lease-ms", String(lease)]
    }
    return try start("worker", arguments + settings.more, adding: settings.environment)
  }

  /// The name under which a worker works; nil until Redis knows it.
  func id(of worker: StageProcess) async throws -> String? {
    let prefix = queue.keys.worker("")
    let mark = "-\(worker.pid)-"
    var cursor = "0"
    repeat {
      let reply = try await queue.redis.send(
        "SCAN", cursor, "MATCH", prefix + "*" + mark + "*", "COUNT", "1000")
      cursor = reply[0]?.text ?? "0"
      if let key = reply[1]?.elements?.first?.text { return String(key.dropFirst(prefix.count)) }
    } while cursor != "0"
    return nil
  }

  /// The jobs that a worker holds.
  func held(by worker: String) async throws -> [String] {
    let leases = try await queue.redis.send("ZRANGE", queue.keys.fixed(.lease), "0", "9999")
    let ids = (leases.elements ?? []).compactMap(\.text)
    let reads = ids.map { id in
      IO.task { @IO [queue] in try await queue.redis.send("HGET", queue.keys.job(id), "worker").text == worker
      }
    }
    var held: [String] = []
    for (id, read) in zip(ids, reads) where try await read.value { held.append(id) }
    return held
  }

  /// Kills a worker and puts into evidence which jobs it held.
  @discardableResult
  func kill(_ worker: StageProcess) async throws -> Int {
    let name = try await id(of: worker)
    await worker.kill()
    let now = WallClock.nowMilliseconds()
    let jobs = name == nil ? [] : try await held(by: name ?? "")
    evidence.note(["fault killed", jobs.joined(separator: " ")].joined(separator: " "), at: now)
    return jobs.count
  }

  /// Ends workers as an operator would.
  func stop(_ workers: [StageProcess]) async throws {
    for worker in workers where worker.isRunning { worker.process.signal(SIGTERM) }
    for worker in workers {
      let timer = EventLoop.shared.after(milliseconds: 60_000) { worker.process.signal(SIGKILL) }
      _ = await worker.process.waitForExit()
      timer.cancel()
    }
  }
}
