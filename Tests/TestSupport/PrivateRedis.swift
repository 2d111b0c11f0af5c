import Common
import Foundation
import Glibc

/// A Redis server of a test's own, for what must not be done to the shared one. It ends with the test's
/// process at the latest.
@IO
public final class PrivateRedis {
  /// Where it listens.
  public let url: String
  private let folder: String
  private var process: ChildProcess?

  /// Names a server that does not run yet.
  public init() throws {
    folder = FileManager.default.temporaryDirectory.path + "/vr-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    url = "unix://\(folder)/redis.sock"
  }

  /// A client of this server.
  public func client(commandTimeoutMilliseconds: Int = 10_000) throws -> RedisClient {
    var options = RedisClient.Options(name: "test")
    options.commandTimeoutMilliseconds = commandTimeoutMilliseconds
    return RedisClient(address: try RedisAddress(url: url), options: options)
  }

  /// Starts the server with settings such as `["--maxmemory", "1gb"]`, and waits until it answers.
  public func start(_ settings: [String] = []) async throws {
    try launch(settings)
    let client = try client()
    defer { client.close() }
    _ = try await client.send("PING")
  }

  /// Starts the server, which reads what it wrote to its files before, and does not wait for it.
  public func launch(_ settings: [String] = []) throws {
    let command = ChildCommand(
      ["redis-server", "--port", "0", "--unixsocket", folder + "/redis.sock", "--save", "", "--dir", folder]
        + settings)
    process = try ChildProcess(command, stdout: .discarded, stderr: .discarded)
  }

  /// Kills the server as a crash would. Its files stay: it can be started again at the same place.
  public func kill() async {
    process?.signal(SIGKILL)
    _ = await process?.waitForExit()
    process = nil
  }

  /// Ends the server and removes its files.
  public func stop() async {
    if let process { await process.terminate(graceMilliseconds: 5_000) }
    process = nil
    try? FileManager.default.removeItem(atPath: folder)
  }
}
