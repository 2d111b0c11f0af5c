import Common
import Foundation
import Glibc

/// A master, two replicas and three Sentinels: what programs and users find through `redis+sentinel://`.
///
/// When it can be parted, replicas and Sentinels reach the master, and clients the Sentinels, through proxies.
@IO
final class SentinelYard {
  static let name = "vision"
  /// How long a server may be silent before it counts as down.
  static let downMilliseconds = 1_000
  /// A master whose replicas are all silent for so long takes no writes, in seconds.
  static let lagSecondsMax = 2

  private let stage: Stage
  private let settings: [String]
  private var servers: [Int: StageProcess] = [:]
  private var sentinels: [Int: StageProcess] = [:]
  /// Where the first master is found when the yard can be parted.
  private var front: RedisProxy?
  private var fronts: [RedisProxy] = []

  /// Starts all of it, and lets the stage's queue, programs and users follow the master.
  init(_ stage: Stage, canBeParted: Bool = false) async throws {
    self.stage = stage
    settings = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", String(Self.lagSecondsMax)]
    let master = try LoopbackPort.free()
    servers[master] = try launch(master)
    try await until("the master") { try await self.ask(master, "PING") != nil }
    if canBeParted {
      front = try RedisProxy(upstream: socket(master), seed: UInt64(stage.parameters.seed))
      front.map { stage.proxies.append($0) }
    }
    let address = front?.port ?? master
    for _ in 0..<2 {
      let port = try LoopbackPort.free()
      servers[port] = try launch(port, of: address)
    }
    try await waitForReplicas(of: master)
    for _ in 0..<3 { try watch(address) }
    for port in sentinels.keys.sorted() {
      try await until("Sentinel \(port)") {
        let text = try await self.ask(port, "INFO", "sentinel")?.text ?? ""
        return text.contains("status=ok") && text.contains("slaves=2,sentinels=3")
      }
      guard canBeParted else { continue }
      let proxy = try RedisProxy(upstream: socket(port), seed: UInt64(stage.parameters.seed))
      fronts.append(proxy)
      stage.proxies.append(proxy)
    }
    let hosts = (canBeParted ? fronts.map(\.port) : sentinels.keys.sorted()).map { "127.0.0.1:\($0)" }
    try stage.follow("redis+sentinel://\(hosts.joined(separator: ","))/\(Self.name)")
  }

  // MARK: faults

  /// Leaves the first master alone with the clients: replicas and Sentinels no longer reach it, and clients no
  /// longer reach the Sentinels. Nobody is told.
  func part() {
    front?.cutPeers(true)
    for each in fronts {
      each.rules.swallowsNew = true
      each.blackhole()
    }
  }

  /// Joins the two sides again.
  func join() {
    front?.cutPeers(false)
    for each in fronts {
      each.rules.swallowsNew = false
      each.resetAll()
    }
  }

  /// Kills the master as a crash would. Returns where it was.
  func killMaster() async throws -> Int {
    let port = try await master()
    guard let server = servers[port] else { throw ChaosFailure("the Sentinels name no master") }
    await server.kill()
    servers[port] = nil
    return port
  }

  /// Starts a server again; the Sentinels make it a replica.
  func restart(_ port: Int) throws { servers[port] = try launch(port) }

  /// Waits until the Sentinels name another master, and it takes writes.
  func waitForFailover(from old: Int) async throws {
    try await until("another master") {
      let port = try await self.master()
      guard port != old, port != 0, port != self.front?.port else { return false }
      return try await self.ask(port, "ROLE")?[0]?.text == "master"
    }
  }

  /// Waits until all others follow the master, each with a whole copy.
  func waitForReplicas(of known: Int? = nil) async throws {
    try await until("the replicas") {
      let port = try await known == nil ? self.master() : known ?? 0
      let others = self.servers.keys.filter { $0 != port }
      guard try await self.replication(port, "connected_slaves") == String(others.count) else { return false }
      for other in others where try await self.replication(other, "master_link_status") != "up" {
        return false
      }
      return true
    }
  }

  /// The port of the master that the Sentinels name; 0 when none answers.
  private func master() async throws -> Int {
    for port in sentinels.keys.sorted() {
      let reply = try await ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.name)
      if let found = reply?[1]?.int { return found }
    }
    return 0
  }

  // MARK: servers

  private func socket(_ port: Int) -> String { "\(stage.folder)/\(port).sock" }

  private func launch(_ port: Int, of master: Int? = nil) throws -> StageProcess {
    let home = "\(stage.folder)/\(port)"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    // A copy: Sentinels let servers write down whom they follow.
    let configuration = home + "/redis.conf"
    if !FileManager.default.fileExists(atPath: configuration) {
      try FileManager.default.copyItem(atPath: try Stage.configuration(), toPath: configuration)
    }
    // Who comes through a proxy has no address of its own.
    let own = ["--replica-announce-ip", "127.0.0.1", "--replica-announce-port", String(port)]
    return try stage.start(
      "redis",
      [
        "redis-server", configuration, "--port", String(port), "--unixsocket", socket(port),
        "--dir", home, "--daemonize", "no", "--logfile", "", "--maxmemory", "2gb",
        "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--repl-timeout", "5",
      ] + own + settings + (master.map { ["--replicaof", "127.0.0.1", String($0)] } ?? []))
  }

  private func watch(_ master: Int) throws {
    let port = try LoopbackPort.free()
    let path = "\(stage.folder)/\(port).conf"
    let text = """
      port \(port)
      bind 127.0.0.1
      unixsocket \(socket(port))
      dir \(stage.folder)
      sentinel monitor \(Self.name) 127.0.0.1 \(master) 2
      sentinel down-after-milliseconds \(Self.name) \(Self.downMilliseconds)
      sentinel failover-timeout \(Self.name) 4000
      sentinel parallel-syncs \(Self.name) 2

      """
    try Data(text.utf8).write(to: URL(filePath: path))
    sentinels[port] = try stage.start("sentinel", ["redis-server", path, "--sentinel"])
  }

  // MARK: looking

  /// One command on a connection of its own; nil when there is no answer.
  private func ask(_ port: Int, _ words: String...) async throws -> RedisReply? {
    var options = RedisClient.Options(name: "chaos-look")
    options.commandTimeoutMilliseconds = 1_000
    let client = RedisClient(
      address: RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: port)), options: options)
    defer { client.close() }
    return try? await client.send(RedisCommand(words: words))
  }

  private func replication(_ port: Int, _ name: String) async throws -> String? {
    let text = try await ask(port, "INFO", "replication")?.text ?? ""
    let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
    return line.map { String($0.dropFirst(name.count + 1)) }
  }

  private func until(_ what: String, _ condition: @IO () async throws -> Bool) async throws {
    try await stage.wait(seconds: 60, for: what, until: condition)
  }
}
