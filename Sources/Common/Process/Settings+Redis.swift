extension Settings {
  /// The Redis server that the common settings name, and as whom to log in there.
  /// - Throws: `RedisError` with the code `invalidAddress`, also for a password file that cannot be read or
  ///   that others can read.
  public func redisAddress() throws(RedisError) -> RedisAddress {
    var address = try RedisAddress(url: string("redis-url"))
    if let user = stringIfSet("redis-user"), !user.isEmpty { address.user = user }
    if let path = stringIfSet("redis-password-file") { address.password = try Settings.password(path) }
    if let password = secret("redis-password") { address.password = password.reveal() }
    address.sentinelPassword = secret("redis-sentinel-password")?.reveal()
    return address
  }

  /// The first line of a file that nobody else can read.
  private static func password(_ path: String) throws(RedisError) -> String {
    let setting = "redis-password-file"
    func refused(_ why: String) -> RedisError {
      RedisError(.invalidAddress, "\(setting) \(TextEscape.shown(path, maxBytes: 300)): \(why)")
    }
    let file: SettingsFile
    do throws(SettingsError) {
      file = try SettingsFile.read(path, setting: setting, called: setting)
    } catch {
      throw RedisError(.invalidAddress, error.description)
    }
    guard !file.isExposed else { throw refused("other users can read it: chmod 600") }
    let line = file.bytes.prefix { $0 != 10 && $0 != 13 }
    guard !line.isEmpty, line.count <= 1024, let password = String(validating: line, as: UTF8.self) else {
      throw refused("its first line must be the password, at most 1024 bytes")
    }
    return password
  }
}

extension RedisError: ExitCodeProviding {
  /// A wrong address is the caller's mistake; what can pass is worth another try later.
  public var exitCode: ExitCode {
    if code == .invalidAddress { return .usage }
    return isTransient ? .unavailable : .failed
  }
}
