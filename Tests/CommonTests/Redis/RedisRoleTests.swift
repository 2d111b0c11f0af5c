import Glibc
import TestSupport
import Testing

@testable import Common

@Suite("The roles of users.acl", .timeLimit(.minutes(1)))
struct RedisRoleTests {
  /// Whether Redis refuses a command to a user. A command that is allowed may fail otherwise.
  @IO private func isRefused(_ client: RedisClient, _ words: [String]) async -> Bool {
    do throws(RedisError) {
      _ = try await client.send(RedisCommand(words: words))
      return false
    } catch {
      return error.code == .notPermitted
    }
  }

  /// Nobody but the administrator may do these.
  private static let dangerous = [
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET maxmemory 1", "SHUTDOWN NOSAVE",
    "DEBUG JMAP",
    "ACL LIST", "ACL SETUSER x on", "MONITOR", "SAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "CLIENT KILL ID 1",
    "CLIENT LIST", "CLIENT PAUSE 1", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION DELETE vision_v1",
    "FUNCTION FLUSH",
    "FUNCTION KILL", "FUNCTION RESTORE x", "SWAPDB 0 1", "MIGRATE h 1 k 0 1", "MODULE LIST", "PUBLISH a b",
    "SUBSCRIBE a",
    "SYNC", "PSYNC ? -1", "RENAME a b", "COPY a b", "RANDOMKEY", "SORT a", "GET other", "SET other 1",
    "LATENCY RESET", "SLOWLOG RESET", "FAILOVER",
  ]

  /// What a role must not do to the keys of its own namespace; `P` stands for their prefix.
  private static let refused: [RedisRole: [String]] = [
    .gateway: [
      "GET Ppayload:a", "HGETALL Pjob:a", "DEL Pjob:a", "UNLINK Preply:a", "DEL Preply:a",
      "XRANGE Pledger - +",
      "XADD Pledger * a b", "XTRIM Pledger MAXLEN 0", "DEL Porganic", "ZADD Pdue 1 a", "ZADD Please 1 a",
      "HGETALL Pperiod:1", "HGET Pperiod:1 seed", "GET Panswer:a", "SADD Ppaused intake", "HSET Plimits a 1",
      "HSET Ptasks a 1", "HSET Pusage a 1", "HGETALL Pweights", "HSET Pweights a 1", "SET Pleader:producer a",
      "HGETALL Pworker:a", "FUNCTION LOAD x", "FUNCTION LIST", "SCAN 0", "EVAL return 0", "EVALSHA a 0",
      "SCRIPT LOAD return", "SLOWLOG GET",
    ],
    .worker: [
      "XTRIM Pledger MAXLEN 0", "XDEL Pledger 0-1", "DEL Pledger", "XRANGE Pledger - +", "HSET Pweights a 1",
      "DEL Pweights", "HSET Pfold state a", "HGET Pfold state", "SET Pproven a", "LPUSH Pweights:history a",
      "SET Pleader:producer a", "DEL Pleader:producer", "SET Pleader:aggregator a", "SADD Ppaused organic",
      "SREM Ppaused organic", "DEL Ppaused", "HSET Pperiod:1 end 1", "DEL Pperiod:1", "DEL Pperiod:1:volume",
      "ZADD Pperiods 1 1", "ZREM Pperiods 1", "HSET Ptasks a 1", "HSET Plimits a 1", "XDEL Preply:a 0-1",
      "XTRIM Preply:a MAXLEN 0", "DEL Preply:a", "XRANGE Preply:a - +", "SET Ppayload:a x", "DEL Pdue",
      "DEL Porganic", "DEL Please", "DEL Pusage", "INCR Padmission", "FUNCTION LOAD x", "SCAN 0",
    ],
    .producer: [
      "HGETALL Pjob:a", "HSET Pjob:a a 1", "DEL Pjob:a", "GET Ppayload:a", "XRANGE Preply:a - +",
      "GET Panswer:a",
      "XTRIM Pledger MAXLEN 0", "DEL Pledger", "XRANGE Pledger - +", "ZADD Porganic 1 a", "ZREM Porganic a",
      "ZADD Please 1 a", "HSET Pweights a 1", "HGET Pfold state", "HSET Pfold a 1", "SET Pproven a",
      "SET Pleader:aggregator a", "SADD Ppaused intake", "DEL Pdue", "HGETALL Pusage", "HSET Pworker:a a 1",
      "BZPOPMIN Pwake:due 1", "HSET Pquality:chat a 1", "SCAN 0",
    ],
    .aggregator: [
      "XADD Pledger * a b", "XDEL Pledger 0-1", "DEL Pledger", "HGETALL Pjob:a", "GET Ppayload:a",
      "XRANGE Preply:a - +", "GET Panswer:a", "HGETALL Pperiod:1", "HSET Pperiod:1 a 1", "ZADD Pdue 1 a",
      "ZADD Porganic 1 a", "ZADD Please 1 a", "SET Pleader:producer a", "SADD Ppaused intake",
      "HGETALL Pusage",
      "DEL Pfold", "HSET Pcounts a 1", "HSET Pworker:a a 1", "HGETALL Pverdicts", "SCAN 0", "FUNCTION LIST",
    ],
    .operator: [
      "HSET Pjob:a a 1", "DEL Pjob:a", "UNLINK Preply:a", "EXPIRE Pjob:a 1", "ZADD Pdue 1 a", "ZREM Please a",
      "XADD Pledger * a b", "XTRIM Pledger MAXLEN 0", "HSET Pweights a 1", "SET Pproven a",
      "SADD Ppaused intake",
      "HSET Plimits a 1", "FCALL vision_cancel_v1 1 Porganic a", "FCALL vision_submit_v1 1 Porganic a b c",
      "EVAL return 0", "EVALSHA a 0", "FUNCTION LOAD x", "BZPOPMIN Pwake:due 1", "ZPOPMIN Pdue",
    ],
    .metrics: [
      "GET Ppayload:a", "HGETALL Pjob:a", "XRANGE Preply:a - +", "GET Panswer:a", "XRANGE Pledger - +",
      "HGETALL Pperiod:1", "HGET Pperiod:1 seed", "HGET Pfold state", "HGETALL Pworker:a", "ZADD Pdue 1 a",
      "HSET Pcounts a 1", "SADD Ppaused intake", "SCAN 0", "EVAL_RO return 0",
      "FCALL_RO vision_status_v1 1 Porganic a",
      "SLOWLOG GET", "FUNCTION LIST",
    ],
  ]

  @Test("without a user and a password nobody gets in, nor with a wrong one")
  @IO func strangers() async throws {
    let logins: [(String?, String?)] = [(nil, nil), ("vision-worker", "hunter2"), ("default", "")]
    for (user, password) in logins {
      var address = try RedisAddress(url: TestRedis.url)
      (address.user, address.password) = (user, password)
      var options = RedisClient.Options(name: "stranger")
      options.commandTimeoutMilliseconds = 300
      let client = RedisClient(address: address, options: options)
      defer { client.close() }
      let error = try await #require(throws: RedisError.self) { try await client.send("PING") }
      #expect(error.message.contains("NOAUTH") || error.message.contains("log-in refused"))
      #expect(!error.message.contains("hunter2"))
    }
  }

  @Test("nobody but the administrator commands the server", arguments: RedisRole.allCases)
  @IO func dangerous(role: RedisRole) async throws {
    guard role != .admin else { return }
    try await TestRedis.withClient(as: role) { client in
      for command in Self.dangerous {
        let words = command.split(separator: " ").map(String.init)
        let mayRead = role == .operator && words[0] == "RANDOMKEY"
        #expect(await isRefused(client, words) != mayRead, "\(role) \(command)")
      }
    }
  }

  @Test("a role does to a key what its programs do, and nothing else", arguments: RedisRole.allCases)
  @IO func refused(role: RedisRole) async throws {
    guard role != .admin else { return }
    let prefix = "test-roles:{q}:"
    try await TestRedis.withClient(as: role) { client in
      for command in try #require(Self.refused[role]) {
        let words = command.split(separator: " ").map { word in
          word.hasPrefix("P") && word.dropFirst().first?.isLowercase == true
            ? prefix + word.dropFirst() : String(word)
        }
        #expect(await isRefused(client, words), "\(role) \(command)")
      }
    }
    try await TestRedis.withClient { admin in
      let left = try await TestRedis.keys(admin, prefix: prefix)
      #expect(left == [], "what was refused left nothing behind")
    }
  }

  /// Who may run which script; the administrator runs all.
  private static let scripts: [RedisRole: Set<Script>] = [
    .worker: [
      .claim, .append, .settle, .renew, .release, .recover, .expire, .lead, .route, .claimCheck, .noteCheck,
      .settleCheck, .nudge,
    ],
    .producer: [.lead, .openPeriod, .schedule, .sweep, .closePeriod, .deregister],
    .aggregator: [.lead, .checkpoint],
    .operator: [.inspect, .status], .gateway: [], .metrics: [],
  ]
  /// Scripts that a role may begin, since it owns the fixed keys, and that are refused what they then do to
  /// other keys (``refused(role:)``); a worker can end and take back jobs by other scripts, too.
  private static let begun: [RedisRole: Set<Script>] = [
    .worker: [.cancel, .revive, .pause, .schedule, .sweep], .producer: [.append, .renew, .route],
    .aggregator: [.append, .renew, .route],
  ]

  @Test("each script runs under the roles that it is for, and under no other", arguments: RedisRole.allCases)
  @IO func scripts(role: RedisRole) async throws {
    try await TestRedis.withQueue { queue in
      try await TestRedis.withClient(as: role) { client in
        for script in Script.allCases {
          let isFor = role == .admin || Self.scripts[role]?.contains(script) == true
          // The declared keys are held against the role before the script begins. Without arguments it then
          // ends at its first one.
          var command = RedisCommand(words: [
            script.isReadOnly ? "EVAL_RO" : "EVAL", script.source(clock: .redis),
          ])
          command.add(script.keys.count)
          for key in script.keys { command.add(queue.keys.fixed(key)) }
          var isRefused = false
          do throws(RedisError) {
            _ = try await client.send(command)
          } catch {
            isRefused = error.code == .notPermitted
          }
          let begins = isFor || Self.begun[role]?.contains(script) == true
          #expect(isRefused == !begins, "\(role) \(script)")
        }
      }
    }
  }

  @Test("a role takes no other role's lead, and a worker that is refused a script's key writes nothing")
  @IO func leads() async throws {
    try await TestRedis.withQueue { queue in
      let roles: [(RedisRole, [String])] = [
        (.worker, ["producer", "aggregator"]), (.producer, ["aggregator", "checker:a"]),
        (.aggregator, ["producer", "checker:a"]),
      ]
      for (role, others) in roles {
        try await TestRedis.withClient(as: role) { client in
          let own = JobQueue(redis: client, keys: queue.keys)
          for other in others {
            _ = try await #require(throws: RedisError.self, "\(role) \(other)") {
              try await own.lead(role: other, token: "t", lifeMilliseconds: 1_000)
            }
            #expect(try await queue.redis.send("EXISTS", queue.keys.leader(other)).int == 0)
          }
        }
      }
    }
  }
}
