/// Asks Redis Sentinel which server is the master now. It is asked anew for each connection, so that whoever
/// lost one follows a failover (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
@IO
struct RedisSentinel {
  /// Longest wait for one Sentinel to connect, and for its answer, in ms.
  static let timeoutMilliseconds = 1_000
  /// The longest range that a client's wait between two attempts is drawn from, in ms.
  static let backoffMaxMilliseconds = 1_000

  private let master: String
  private let password: String?
  /// The one that answered last stands first.
  private var hosts: [RedisAddress.Host]

  init(hosts: [RedisAddress.Host], master: String, password: String?) {
    self.hosts = hosts
    self.master = master
    self.password = password
  }

  /// Where the master is, by the first Sentinel that says. That server may deny it: whoever connects asks for
  /// its ROLE, and calls ``distrust()`` when it is none.
  /// - Throws: `cannotConnect` when none answers or none knows the master, with the last reason.
  mutating func find() async throws(RedisError) -> RedisAddress.Host {
    var reason = ""
    for host in hosts {
      do throws(RedisError) {
        let found = try await ask(host)
        hosts.removeAll { $0 == host }
        hosts.insert(host, at: 0)
        return found
      } catch {
        reason = "\(host): \(error.message)"
      }
    }
    throw RedisError(.cannotConnect, "no Sentinel names the master '\(master)': \(reason)")
  }

  /// The Sentinel that was believed last is asked last from now on.
  mutating func distrust() { hosts.append(hosts.removeFirst()) }

  private func ask(_ host: RedisAddress.Host) async throws(RedisError) -> RedisAddress.Host {
    let connection = RedisConnection()
    defer { connection.drop(RedisError(.closed, "the Sentinel was asked")) }
    let limit = RedisSentinel.timeoutMilliseconds
    let endpoint = RedisAddress.Endpoint.tcp(host: try await resolve(host.host), port: host.port)
    try await connection.connect(to: endpoint, timeoutMilliseconds: limit)
    if let password {
      _ = try await connection.send(RedisCommand("AUTH", password), timeoutMilliseconds: limit)
    }
    let reply = try await connection.send(
      RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master), timeoutMilliseconds: limit)
    guard let name = reply[0]?.text, let port = reply[1]?.int, (1...65535).contains(port) else {
      throw RedisError(.unexpectedReply, "it knows no such master")
    }
    return RedisAddress.Host(host: name, port: port)
  }
}
