import Common
import Foundation
import Glibc

/// A master, its replicas and three Sentinels that watch them: real servers on this machine's own network, with
/// the users of users.acl. They end with the test's process at the latest.
@IO
public final class SentinelBench {
  /// The master's name.
  public static let name = "vision"
  /// How long a server may be silent before it counts as down.
  public static let downMilliseconds = 500

  private let folder: String
  private var servers: [Int: ChildProcess] = [:]
  private var sentinels: [Int: ChildProcess] = [:]
  private let settings: [String]

  /// Starts a master with so many replicas, and Sentinels that agree on it.
  /// - Parameter settings: of every server, such as `["--min-replicas-to-write", "1"]`.
  public init(replicas: Int, settings: [String] = []) async throws {
    folder = FileManager.default.temporaryDirectory.path + "/vs-" + UUID().uuidString.prefix(8)
    self.settings = settings
    let made = try await ChildProcess.run(
      ChildCommand([Self.root + "scripts/users", folder + "/users", "--namespace", "*"]),
      limits: ChildLimits(stdoutMaxBytes: 4_096, timeoutMilliseconds: 20_000))
    precondition(made.status.isSuccess, "scripts/users: \(String(decoding: made.stderr, as: UTF8.self))")
    let master = try LoopbackPort.free()
    try launch(master)
    try await until { try await self.ask(master, "PING") != nil }
    for _ in 0..<replicas { try launch(LoopbackPort.free(), of: master) }
    try await until {
      guard try await self.info(master, "connected_slaves") == String(replicas) else { return false }
      return try await self.allLinked(self.servers.keys.filter { $0 != master })
    }
    for _ in 0..<3 { try watch(master, LoopbackPort.free()) }
    try await until {
      for port in self.sentinels.keys {
        let text = try await self.ask(port, "INFO", "sentinel")?.text ?? ""
        guard text.contains("status=ok"), text.contains("slaves=\(replicas),sentinels=3") else {
          return false
        }
      }
      return true
    }
  }

  /// Where the Sentinels are, and the master's name.
  public var url: String {
    let hosts = sentinels.keys.sorted().map { "127.0.0.1:\($0)" }.joined(separator: ",")
    return "redis+sentinel://\(hosts)/\(Self.name)"
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path()

  private func password(of user: String) throws -> String {
    try String(contentsOfFile: "\(folder)/users/\(user).password", encoding: .utf8)
  }

  /// A client that follows the master.
  public func client(
    as role: RedisRole = .admin, commandTimeoutMilliseconds: Int = 20_000
  ) throws -> RedisClient {
    var options = RedisClient.Options(name: "test")
    options.commandTimeoutMilliseconds = commandTimeoutMilliseconds
    var address = try RedisAddress(url: url)
    (address.user, address.password) = (role.rawValue, try password(of: role.rawValue))
    return RedisClient(address: address, options: options)
  }

  /// The port of the master that the Sentinels name.
  public func master() async throws -> Int {
    for port in sentinels.keys.sorted() {
      if let found = try await ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.name)?[1]?.int {
        return found
      }
    }
    return 0
  }

  /// Kills a server as a crash would.
  public func kill(_ port: Int) async {
    servers[port]?.signal(SIGKILL)
    _ = await servers[port]?.waitForExit()
    servers[port] = nil
  }

  /// Sends a signal to a server.
  public func signal(_ port: Int, _ signal: Int32) { servers[port]?.signal(signal) }

  /// Starts a server again where it was; the Sentinels make it a replica of whoever is master now.
  public func restart(_ port: Int) throws { try launch(port) }

  /// Waits until the Sentinels name another master than `old` and it takes writes.
  public func waitForFailover(from old: Int) async throws {
    try await until {
      let port = try await self.master()
      guard port != old, port != 0 else { return false }
      return try await self.ask(port, "ROLE")?[0]?.text == "master"
    }
  }

  /// Waits until every server is back in its place: one master, all others its replicas with a whole copy.
  public func waitForReplicas() async throws {
    try await until {
      let port = try await self.master()
      guard try await self.info(port, "connected_slaves") == String(self.servers.count - 1) else {
        return false
      }
      return try await self.allLinked(self.servers.keys.filter { $0 != port })
    }
  }

  /// Ends everything and removes the files.
  public func stop() async {
    for process in sentinels.values { process.signal(SIGKILL) }
    for process in servers.values { process.signal(SIGKILL) }
    for process in Array(sentinels.values) + Array(servers.values) { _ = await process.waitForExit() }
    try? FileManager.default.removeItem(atPath: folder)
  }

  // MARK: servers

  private func launch(_ port: Int, of master: Int? = nil) throws {
    let home = "\(folder)/\(port)"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let text = """
      port \(port)
      bind 127.0.0.1
      save ""
      dir \(home)
      repl-diskless-sync-delay 0
      repl-ping-replica-period 1
      aclfile \(folder)/users/users.acl
      masteruser vision-replica
      masterauth \(try password(of: "vision-replica"))
      \(master.map { "replicaof 127.0.0.1 \($0)" } ?? "")

      """
    try Data(text.utf8).write(to: URL(filePath: home + "/redis.conf"))
    servers[port] = try ChildProcess(
      ChildCommand(["redis-server", home + "/redis.conf"] + settings), stdout: .discarded, stderr: .discarded)
  }

  private func watch(_ master: Int, _ port: Int) throws {
    let home = "\(folder)/\(port)"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let text = """
      port \(port)
      bind 127.0.0.1
      dir \(home)
      sentinel monitor \(Self.name) 127.0.0.1 \(master) 2
      sentinel auth-user \(Self.name) vision-sentinel
      sentinel auth-pass \(Self.name) \(try password(of: "vision-sentinel"))
      sentinel down-after-milliseconds \(Self.name) \(Self.downMilliseconds)
      sentinel failover-timeout \(Self.name) 2000
      sentinel parallel-syncs \(Self.name) 2

      """
    try Data(text.utf8).write(to: URL(filePath: home + "/sentinel.conf"))
    sentinels[port] = try ChildProcess(
      ChildCommand(["redis-server", home + "/sentinel.conf", "--sentinel"]), stdout: .discarded,
      stderr: .discarded)
  }

  // MARK: looking

  /// One command on a connection of its own; nil when there is no answer.
  public func ask(_ port: Int, _ words: String...) async throws -> RedisReply? {
    var options = RedisClient.Options(name: "test")
    options.commandTimeoutMilliseconds = 1_000
    var address = RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: port))
    // Sentinels have users of their own, and need none here.
    if servers[port] != nil {
      let admin = RedisRole.admin.rawValue
      (address.user, address.password) = (admin, try password(of: admin))
    }
    let client = RedisClient(address: address, options: options)
    defer { client.close() }
    return try? await client.send(RedisCommand(words: words))
  }

  private func info(_ port: Int, _ name: String) async throws -> String? {
    let text = try await ask(port, "INFO", "replication")?.text ?? ""
    let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
    return line.map { String($0.dropFirst(name.count + 1)) }
  }

  private func allLinked(_ ports: [Int]) async throws -> Bool {
    for port in ports where try await info(port, "master_link_status") != "up" { return false }
    return true
  }

  /// What did not come about in time.
  public struct TookTooLong: Error {}

  /// Waits until `condition` holds, a minute at most: nothing tells of what servers do.
  private func until(_ condition: @IO () async throws -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while try await !condition() {
      guard Monotonic.now() < limit else { throw TookTooLong() }
      await EventLoop.shared.sleep(milliseconds: 20)
    }
  }
}
