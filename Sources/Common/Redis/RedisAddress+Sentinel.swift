import Foundation

extension RedisAddress {
  static func invalid(_ why: String) -> RedisError {
    RedisError(
      .invalidAddress,
      "\(why); use redis://[user:password@]host[:port][/database], unix:///path/to/socket[?db=N] or"
        + " redis+sentinel://[user:password@]host[:port],…/master[/database]")
  }

  /// Reads what follows `redis+sentinel://`. Several hosts make no URL that Foundation could read.
  init(sentinels text: Substring) throws(RedisError) {
    var rest = text
    var user: String?
    var password: String?
    if let at = rest.lastIndex(of: "@") {
      let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      user = login.first?.removingPercentEncoding
      password = login.count > 1 ? String(login[1]).removingPercentEncoding : nil
      rest = rest[rest.index(after: at)...]
    }
    let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count), parts[1].wholeMatch(of: /[A-Za-z0-9_.\-]{1,64}/) != nil else {
      throw RedisAddress.invalid("the Sentinel address names no master after its hosts")
    }
    var hosts: [Host] = []
    for part in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
      guard let host = Host(part, defaultPort: 26379) else {
        throw RedisAddress.invalid("the Sentinel address has a host that is none")
      }
      hosts.append(host)
    }
    guard hosts.count <= RedisAddress.sentinelsMax else {
      throw RedisAddress.invalid("the Sentinel address has more than \(RedisAddress.sentinelsMax) hosts")
    }
    let number = parts.count == 3 ? String(parts[2]) : ""
    guard let database = number.isEmpty ? 0 : Int(number), (0..<1024).contains(database) else {
      throw RedisAddress.invalid("the Redis database of the Sentinel address is not a number")
    }
    self.init(
      endpoint: .sentinel(hosts: hosts, master: String(parts[1])), user: user?.isEmpty == false ? user : nil,
      password: password?.isEmpty == false ? password : nil, database: database)
  }
}

extension RedisAddress.Host {
  /// Reads `host`, `host:port` or `[address]:port`; nil for anything else.
  fileprivate init?(_ text: Substring, defaultPort: Int) {
    guard let match = text.wholeMatch(of: /(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._\-]+))(?::(\d{1,5}))?/),
      let host = match.1 ?? match.2
    else { return nil }
    let port = match.3.map { Int($0) ?? 0 } ?? defaultPort
    guard (1...65535).contains(port) else { return nil }
    self.init(host: String(host), port: port)
  }
}
