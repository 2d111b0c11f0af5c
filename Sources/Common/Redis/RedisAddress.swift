import Foundation

/// Where a Redis server listens and as whom to log in. The password never appears in `description`.
public struct RedisAddress: Equatable, Sendable, CustomStringConvertible {
  /// How to reach the server.
  public enum Endpoint: Equatable, Sendable {
    /// A host name or numeric address, and a port.
    case tcp(host: String, port: Int)
    /// The path of a unix socket.
    case unix(path: String)
    /// The master that Redis Sentinel knows by this name. Any of the Sentinels may be asked.
    case sentinel(hosts: [Host], master: String)
  }

  /// A host name or numeric address, and a port.
  public struct Host: Equatable, Sendable {
    /// A name or a numeric address.
    public var host: String
    /// A port.
    public var port: Int

    /// Names a host and a port.
    public init(host: String, port: Int) {
      self.host = host
      self.port = port
    }
  }

  /// Most Sentinels of one address.
  public static let sentinelsMax = 16

  /// How to reach the server.
  public var endpoint: Endpoint
  /// The ACL user; nil for Redis's default user.
  public var user: String?
  /// The password; nil for none.
  public var password: String?
  /// The database number.
  public var database: Int
  /// The password of the Sentinels, which are not Redis's users; nil for none.
  public var sentinelPassword: String?

  /// Names a server.
  public init(endpoint: Endpoint, user: String? = nil, password: String? = nil, database: Int = 0) {
    self.endpoint = endpoint
    self.user = user
    self.password = password
    self.database = database
  }

  /// Reads `redis://[user[:password]@]host[:port][/database]`,
  /// `unix://[user[:password]@]/path/to/socket[?db=N]` or
  /// `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/database]`.
  /// - Throws: `RedisError` with the code `invalidAddress`; its message does not repeat the password.
  public init(url: String) throws(RedisError) {
    let scheme = "redis+sentinel://"
    if url.hasPrefix(scheme) {
      self = try RedisAddress(sentinels: url.dropFirst(scheme.count))
      return
    }
    func invalid(_ why: String) -> RedisError { RedisAddress.invalid(why) }
    guard let parts = URLComponents(string: url), let scheme = parts.scheme else {
      throw invalid("the Redis address is not a URL")
    }
    func nonEmpty(_ text: String?) -> String? { text?.isEmpty == false ? text : nil }
    user = nonEmpty(parts.user)
    password = nonEmpty(parts.password)
    switch scheme {
    case "redis":
      guard let host = nonEmpty(parts.host) else { throw invalid("the Redis address names no host") }
      let plainHost = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
      endpoint = .tcp(host: plainHost, port: parts.port ?? 6379)
      let path = parts.path.drop { $0 == "/" }
      guard let number = path.isEmpty ? 0 : Int(path), (0..<1024).contains(number) else {
        throw invalid("the Redis database '\(path)' is not a number")
      }
      database = number
    case "unix":
      guard parts.path.hasPrefix("/") else { throw invalid("the Redis address names no socket path") }
      guard parts.path.utf8.count < 108 else {
        throw invalid("the socket path is longer than 107 bytes, the system's limit")
      }
      endpoint = .unix(path: parts.path)
      let text = parts.queryItems?.first { $0.name == "db" }?.value ?? "0"
      guard let number = Int(text), (0..<1024).contains(number) else {
        throw invalid("the Redis database '\(text)' is not a number")
      }
      database = number
    case "rediss":
      throw invalid("TLS is not supported by this build: put a TLS tunnel such as stunnel beside it")
    default: throw invalid("the Redis address has the unknown scheme '\(scheme)'")
    }
  }

  /// The address without user and password.
  public var description: String {
    switch endpoint {
    case .tcp(let host, let port):
      return "redis://\(Host(host: host, port: port))/\(database)"
    case .unix(let path): return "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
    case .sentinel(let hosts, let master):
      let list = hosts.map(\.description).joined(separator: ",")
      return "redis+sentinel://\(list)/\(master)" + (database == 0 ? "" : "/\(database)")
    }
  }
}

extension RedisAddress.Host: CustomStringConvertible {
  /// `host:port`, with brackets around an IPv6 address.
  public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
