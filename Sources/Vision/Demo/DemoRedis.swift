import Common
import Foundation

/// The Redis of a demo: one of its own, in which each program is a user of its own role (users.acl), or one
/// that was given.
struct DemoRedis {
  /// The demo's own client looks at everything, and submits.
  private static let ownRole = "vision-admin"
  /// As whom the programs log in; the others do not talk to Redis.
  private static let roles = [
    "vision-producer": "vision-producer", "vision-workers": "vision-worker",
    "vision-aggregator": "vision-aggregator",
  ]

  /// How the demo's own Redis is started; empty when another one was given.
  let serverArguments: [String]
  private let url: String
  /// Where the passwords of the demo's own Redis are.
  private let users: String
  private let given: RedisAddress?

  /// Whether the demo starts it.
  var isOwn: Bool { given == nil }

  /// Makes the users of a Redis of the demo's own; does not start it.
  @IO static func make(
    _ settings: Settings, _ folder: DemoFolder, namespace: String
  ) async throws -> DemoRedis {
    let redis = try DemoRedis(settings, folder)
    guard redis.isOwn else { return redis }
    let maker = ChildCommand([try Files.find("scripts/users"), redis.users, "--namespace", namespace])
    let result = try await ChildProcess.run(
      maker, limits: ChildLimits(stdoutMaxBytes: 4_096, timeoutMilliseconds: 10_000))
    guard result.status.isSuccess else {
      throw DemoFailure("scripts/users: \(result.status): \(String(decoding: result.stderr, as: UTF8.self))")
    }
    return redis
  }

  private init(_ settings: Settings, _ folder: DemoFolder) throws {
    users = folder.file("users")
    if settings.isSet("redis-url") {
      let address = try settings.redisAddress()
      (url, given, serverArguments) = (address.description, address, [])
      return
    }
    let socket = folder.file("redis.sock")
    guard socket.utf8.count < 108 else { throw DemoFailure("the path \(socket) is too long for a socket") }
    (url, given) = ("unix://" + socket, nil)
    serverArguments = [
      "redis-server", try Files.find("redis.conf"), "--port", "0", "--unixsocket", socket, "--dir",
      folder.path, "--daemonize", "no", "--maxmemory", "1gb", "--logfile", "", "--aclfile",
      users + "/users.acl",
    ]
  }

  /// Where it is, and as whom the demo itself logs in.
  func address() throws -> RedisAddress {
    if let given { return given }
    var address = try RedisAddress(url: url)
    address.user = DemoRedis.ownRole
    address.password = try String(contentsOfFile: password(of: DemoRedis.ownRole), encoding: .utf8)
    return address
  }

  private func password(of role: String) -> String { "\(users)/\(role).password" }

  /// What a program of the demo needs in its environment to reach Redis. An empty variable counts as unset, so
  /// that nothing of the demo's own environment gets through.
  func environment(of program: String) -> [String: String] {
    guard let role = DemoRedis.roles[program] else { return [:] }
    return [
      "VISION_REDIS_URL": url, "VISION_REDIS_USER": given.map { $0.user ?? "" } ?? role,
      "VISION_REDIS_PASSWORD": given?.password ?? "",
      "VISION_REDIS_SENTINEL_PASSWORD": given?.sentinelPassword ?? "",
      "VISION_REDIS_PASSWORD_FILE": isOwn ? password(of: role) : "",
    ]
  }
}
