extension Settings {
  /// The Redis server that the common settings name.
  /// - Throws: `RedisError` with the code `invalidAddress`.
  public func redisAddress() throws(RedisError) -> RedisAddress {
    var address = try RedisAddress(url: string("redis-url"))
    if let password = secret("redis-password") { address.password = password.reveal() }
    return address
  }
}
