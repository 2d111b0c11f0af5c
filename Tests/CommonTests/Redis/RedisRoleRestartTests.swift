import Glibc
import TestSupport
import Testing

@testable import Common

@Suite("The users of users.acl at a restart", .timeLimit(.minutes(1)))
struct RedisRoleRestartTests {
  @Test("what scripts wrote is read back, and who does not log in can still do nothing")
  @IO func restart() async throws {
    let users = try #require(
      getenv("VISION_TEST_REDIS_USERS").map { String(cString: $0) }, "run scripts/test, which makes the users"
    )
    let settings = ["--aclfile", users + "/users.acl", "--appendonly", "yes", "--appendfsync", "always"]
    let server = try PrivateRedis()
    try server.launch(settings)
    let admin = try TestRedis.address(as: .admin)
    var address = try RedisAddress(url: server.url)
    (address.user, address.password) = (admin.user, admin.password)
    let client = RedisClient(address: address, options: .init(name: "test"))
    defer { client.close() }
    let queue = JobQueue(redis: client, keys: Keys(namespace: "vision"))
    _ = try await client.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
    #expect(try await queue.submit(id: "a", task: "chat", payload: Array("{}".utf8)) == .created)
    await server.kill()
    try server.launch(settings)
    #expect(try await queue.status(id: "a")?.state == "waiting")
    let stranger = try server.client()
    defer { stranger.close() }
    do throws(RedisError) {
      _ = try await stranger.send("GET", "vision:{q}:tasks")
      Issue.record("a stranger was let in")
    } catch {
      #expect(error.message.contains("NOAUTH"), "\(error)")
    }
    await server.stop()
  }
}
