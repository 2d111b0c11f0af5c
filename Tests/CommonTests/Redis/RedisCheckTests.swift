import Testing

@testable import Common

@Suite("A look at a Redis server")
struct RedisCheckTests {
  private func check(_ changes: [String: String] = [:], skew: Int = 0) -> RedisCheck {
    let fields = [
      "redis_version": "7.0.15", "role": "master", "loading": "0", "aof_enabled": "1",
      "maxmemory": "2147483648", "maxmemory_policy": "noeviction",
    ].merging(changes) { $1 }
    let lines = ["# Server"] + fields.map { "\($0.key):\($0.value)" }
    return RedisCheck(info: lines.joined(separator: "\r\n"), clockSkewMilliseconds: skew)
  }

  @Test("finds nothing wrong with the shipped settings")
  func good() {
    #expect(check().refusal == nil)
    #expect(check().warnings.isEmpty)
    #expect(!check().isLoading)
  }

  @Test("refuses versions before 7.0", arguments: ["6.2.14", "5.0", "2.8.19", "", "unknown"])
  func old(version: String) {
    #expect(check(["redis_version": version]).refusal?.contains("too old") == true)
  }

  @Test("takes 7.0 and all that is newer", arguments: ["7.0", "7.0.0", "7.2.4", "8.0.1", "10.0.0"])
  func new(version: String) {
    #expect(check(["redis_version": version]).refusal == nil)
  }

  @Test("refuses a replica, and every policy that evicts")
  func unfit() {
    #expect(check(["role": "slave"]).refusal?.contains("replica") == true)
    #expect(check(["maxmemory_policy": "allkeys-lru"]).refusal?.contains("allkeys-lru") == true)
    #expect(check(["maxmemory_policy": "volatile-ttl"]).refusal?.contains("noeviction") == true)
  }

  @Test("warns of what can be lost, each in its own line")
  func warnings() {
    #expect(check(["aof_enabled": "0"]).warnings.map { $0.contains("appendonly") } == [true])
    #expect(check(["maxmemory": "0"]).warnings.map { $0.contains("maxmemory") } == [true])
    #expect(check(["aof_last_write_status": "ok"]).warnings.isEmpty)
    #expect(check(["aof_last_write_status": "err"]).warnings.map { $0.contains("disk") } == [true])
    #expect(check(["total_system_memory": "2684354560"]).warnings.isEmpty)
    #expect(
      check(["total_system_memory": "2600000000"]).warnings.map { $0.contains("80 % of the machine's") } == [
        true
      ])
    #expect(check(["connected_slaves": "2"]).warnings.map { $0.contains("min-replicas") } == [true])
    #expect(check(["connected_slaves": "2", "min_slaves_good_slaves": "2"]).warnings.isEmpty)
    #expect(check(["connected_slaves": "0"]).warnings.isEmpty)
    #expect(check(skew: 1_000).warnings.isEmpty)
    #expect(check(skew: 1_001).warnings.map { $0.contains("1001 ms ahead of") } == [true])
    #expect(check(skew: -5_000).warnings.map { $0.contains("5000 ms behind") } == [true])
    #expect(check(["aof_enabled": "0", "maxmemory": "0"], skew: 2_000).warnings.count == 3)
  }

  @Test("counts as skew only what the round trip does not explain")
  func skew() {
    #expect(RedisCheck.skew(105, between: 100, and: 110) == 0)
    #expect(RedisCheck.skew(99, between: 100, and: 100) == 0)
    #expect(RedisCheck.skew(101, between: 100, and: 100) == 0)
    #expect(RedisCheck.skew(90, between: 100, and: 110) == -10)
    #expect(RedisCheck.skew(2_110, between: 100, and: 110) == 2_000)
  }
}
