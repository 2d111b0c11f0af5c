extension Settings {
  /// The Redis server that the common settings name.
  /// - Throws: `RedisError` with the code `invalidAddress`.
  public func redisAddress() throws(RedisError) -> RedisAddress {
    var address = try RedisAddress(url: string("redis-url"))
    if let password = secret("redis-password") { address.password = password.reveal() }
    return address
  }
}

extension RedisError: ExitCodeProviding {
  /// A wrong address is the caller's mistake; what can pass is worth another try later.
  public var exitCode: ExitCode {
    if code == .invalidAddress { return .usage }
    return isTransient ? .unavailable : .failed
  }
}
