import Common
import Foundation
import Glibc

/// A master, two replicas and the three Sentinels that watch them.
@IO
final class StageSentinels {
  private static let master = "vision"
  private let stage: Stage
  private var servers: [Int: StageProcess] = [:]
  private var sentinels: [Int] = []
  private var homes: [Int: String] = [:]

  /// Starts them all, and waits until they agree.
  init(_ stage: Stage) async throws {
    self.stage = stage
    let first = try StageSentinels.freePort()
    try launch(first)
    try await stage.wait(seconds: 20, for: "the master") { try await self.ask(first, "PING") != nil }
    for _ in 0..<2 { try launch(StageSentinels.freePort(), of: first) }
    for _ in 0..<3 { try watch(first, StageSentinels.freePort()) }
    try await stage.wait(seconds: 30, for: "the Sentinels to agree") {
      for port in self.sentinels {
        let text = try await self.ask(port, "INFO", "sentinel")?.text ?? ""
        guard text.contains("status=ok"), text.contains("slaves=2,sentinels=3") else { return false }
      }
      return try await self.replicas(of: first) == 2
    }
  }

  /// Where the Sentinels are, and the master's name.
  var url: String {
    "redis+sentinel://" + sentinels.map { "127.0.0.1:\($0)" }.joined(separator: ",") + "/"
      + StageSentinels.master
  }

  /// Kills the master. Waits until another one leads, and starts the old one again as its replica; returns
  /// when all are linked.
  func failOver() async throws {
    let old = try await current()
    stage.evidence.note("fault master-dies")
    await servers[old]?.kill()
    var next = 0
    try await stage.wait(seconds: 30, for: "another master") {
      next = try await self.current()
      guard next != old, next != 0 else { return false }
      return try await self.ask(next, "ROLE")?[0]?.text == "master"
    }
    stage.evidence.note("fault master-ready")
    try await stage.pass(milliseconds: 1_500)
    try launch(old)
    try await stage.wait(seconds: 60, for: "the replicas") { try await self.replicas(of: next) == 2 }
  }

  private func current() async throws -> Int {
    for port in sentinels {
      let reply = try await ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", StageSentinels.master)
      if let found = reply?[1]?.int { return found }
    }
    return 0
  }

  /// Replicas that have a whole copy.
  private func replicas(of port: Int) async throws -> Int {
    let text = try await ask(port, "INFO", "replication")?.text ?? ""
    return text.matches(of: /slave\d+:[^\n]*state=online/).count
  }

  private func ask(_ port: Int, _ words: String...) async throws -> RedisReply? {
    var options = RedisClient.Options(name: "chaos-look")
    options.commandTimeoutMilliseconds = 1_000
    let client = RedisClient(
      address: RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: port)), options: options)
    defer { client.close() }
    return try? await client.send(RedisCommand(words: words))
  }

  // MARK: processes

  private func launch(_ port: Int, of master: Int? = nil) throws {
    let home = homes[port] ?? stage.file("server")
    homes[port] = home
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let link = master.map { ["--replicaof", "127.0.0.1 \($0)"] } ?? []
    servers[port] = try stage.start(
      "redis",
      [
        "redis-server", try Stage.configuration(), "--port", String(port), "--dir", home, "--daemonize", "no",
        "--logfile", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
        "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--repl-backlog-size", "16mb",
        "--maxmemory", "1gb",
      ] + link)
  }

  private func watch(_ master: Int, _ port: Int) throws {
    let home = stage.file("sentinel")
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let name = StageSentinels.master
    let text = """
      port \(port)
      bind 127.0.0.1
      dir \(home)
      sentinel monitor \(name) 127.0.0.1 \(master) 2
      sentinel down-after-milliseconds \(name) 1000
      sentinel failover-timeout \(name) 4000
      sentinel parallel-syncs \(name) 1

      """
    try text.write(toFile: home + "/sentinel.conf", atomically: true, encoding: .utf8)
    _ = try stage.start("sentinel", ["redis-server", home + "/sentinel.conf", "--sentinel"])
    sentinels.append(port)
  }

  /// A port of 127.0.0.1 that nobody has.
  private static func freePort() throws -> Int {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { Glibc.close(fd) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(fd, $0, length) + getsockname(fd, $0, &length)
      }
    }
    guard code == 0 else { throw ChaosFailure("no free port: \(String(cString: strerror(errno)))") }
    return Int(in_port_t(bigEndian: address.sin_port))
  }
}
