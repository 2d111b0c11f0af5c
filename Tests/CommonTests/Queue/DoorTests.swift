import Foundation
import TestSupport
import Testing

@testable import Common

@Suite("The door for users' requests")
struct DoorTests {
  static let about = #"{"kind":"text","shape":"chat","max_tokens":[50,2000]}"#
  static let good = #"{"messages":[{"role":"user","content":"Hello"}]}"#

  /// A call as a gateway makes it: one key, plain words.
  @IO func call(_ queue: JobQueue, _ function: String, _ words: String...) async throws -> [String] {
    let command = RedisCommand(
      words: ["FCALL", "vision_\(function)_v1", "1", queue.keys.fixed(.organic)] + words)
    let reply = try await queue.redis.send(command)
    return (reply.elements ?? []).map { $0.text ?? $0.int.map(String.init) ?? "" }
  }

  @IO func withDoor(_ body: @IO (JobQueue) async throws -> Void) async throws {
    try await TestRedis.withQueue { queue in
      #expect(try await FunctionLibrary.install(on: queue.redis) != .differs)
      _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", DoorTests.about)
      try await body(queue)
    }
  }

  @Test("creates a request once, tells where it stands, and ends it at the user's wish")
  @IO func life() async throws {
    try await withDoor { queue in
      let reply = queue.keys.reply("a")
      var answer = try await call(queue, "status", "a")
      #expect(answer == ["unknown"])
      answer = try await call(queue, "submit", "a", "chat", DoorTests.good, "account", "me", "stream", "0")
      #expect(answer == ["created", reply])
      answer = try await call(queue, "submit", "a", "chat", "another payload")
      #expect(answer == ["duplicate", "waiting", reply])
      answer = try await call(queue, "submit", "b", "chat", DoorTests.good, "deadline_ms", "60000")
      #expect(answer.first == "created")
      let waiting = try #require(try await queue.status(id: "b"))
      #expect(waiting.state == "waiting" && waiting.fields["ahead"] == "1")
      #expect(waiting.fields["reply"] == queue.keys.reply("b") && waiting.fields["attempts"] == "0")
      let created = try #require(waiting.fields["created"].flatMap(Int.init))
      #expect(waiting.fields["deadline"] == String(created + 60_000))
      answer = try await call(queue, "cancel", "b")
      #expect(answer == ["cancelled"])
      answer = try await call(queue, "cancel", "b")
      #expect(answer == ["cancelled"], "a repeat tells the same")
      answer = try await call(queue, "cancel", "nobody")
      #expect(answer == ["unknown"])
      let ended = try #require(try await queue.status(id: "b"))
      #expect(ended.state == "cancelled" && ended.fields["ahead"]?.isEmpty == true)
      let record = try await queue.redis.send("HMGET", queue.keys.job("a"), "account", "stream")
      #expect(record.elements?.compactMap(\.text) == ["me", "0"])
    }
  }

  @Test("refuses with a reason, the field and the problem, and then leaves nothing behind")
  @IO func refusals() async throws {
    try await withDoor { queue in
      let cases: [([String], [String])] = [
        (["", "chat", "{}"], ["bad_id", "", ""]),
        (["a b", "chat", "{}"], ["bad_id", "", ""]),
        ([String(repeating: "a", count: 65), "chat", "{}"], ["bad_id", "", ""]),
        (["a", "chart", "{}"], ["unknown_task", "", ""]),
        (["a", "chat", DoorTests.good, "account", "a|b"], ["bad_account", "", ""]),
        (
          ["a", "chat", DoorTests.good, "colour", "red"],
          ["bad_argument", "colour", "is no argument of this version"]
        ),
        (["a", "chat", DoorTests.good, "account"], ["bad_argument", "account", "has no value"]),
        (["a", "chat", DoorTests.good, "stream", "yes"], ["bad_argument", "stream", "must be 0 or 1"]),
        (
          ["a", "chat", DoorTests.good, "deadline_ms", "-5"],
          ["bad_argument", "deadline_ms", "must be an integer from 0 to 86400000"]
        ),
        (["a", "chat"], ["bad_argument", "", "id, task and payload are needed"]),
        (["a", "chat", "not json"], ["bad_payload", "payload", "is no JSON object"]),
        (["a", "chat", "{"], ["bad_payload", "payload", "is no JSON object"]),
        (["a", "chat", "{}"], ["bad_payload", "messages", "must be a list of 1 to 1000 messages"]),
        (
          ["a", "chat", #"{"messages":[{"role":"user","content":"x"},{"role":"user"}]}"#],
          ["bad_payload", "messages[1]", "must have the texts 'role' and 'content'"]
        ),
        (
          ["a", "chat", #"{"temperature":3,"messages":[{"role":"user","content":"x"}]}"#],
          ["bad_payload", "temperature", "must be a number from 0 to 2"]
        ),
        (
          ["a", "chat", #"{"seed":0.5,"messages":[{"role":"user","content":"x"}]}"#],
          ["bad_payload", "seed", "must be an integer from 0 to 2147483647"]
        ),
      ]
      for (words, expected) in cases {
        let command = RedisCommand(
          words: ["FCALL", "vision_submit_v1", "1", queue.keys.fixed(.organic)] + words)
        let reply = try await queue.redis.send(command)
        #expect(reply.elements?.compactMap(\.text) == ["refused"] + expected, "\(words)")
      }
      try await queue.publish(DoorLimits(waitingMax: 10, payloadBytesMax: 100))
      let long = DoorTests.good + String(repeating: " ", count: 100)
      let large = try await call(queue, "submit", "a", "chat", long)
      #expect(large == ["refused", "too_large", "payload", "has more than 100 bytes"])
      _ = try await queue.pause("intake", true)
      let paused = try await call(queue, "submit", "a", "chat", DoorTests.good)
      #expect(paused == ["refused", "paused", "", ""])
      let left = try await TestRedis.keys(queue.redis, prefix: queue.keys.prefix)
      #expect(Set(left) == Set([.tasks, .limits, .paused].map(queue.keys.fixed)), "\(left)")
    }
  }

  @Test("over the cap it answers full, what was taken is served oldest first, and a place becomes free")
  @IO func full() async throws {
    try await withDoor { queue in
      try await queue.publish(DoorLimits(waitingMax: 50, payloadBytesMax: 1_000))
      var slowest = 0
      for number in 0..<80 {
        let started = Monotonic.now()
        let answer = try await call(queue, "submit", "r\(number)", "chat", DoorTests.good)
        slowest = max(slowest, Monotonic.now().milliseconds(since: started))
        #expect(answer.first == (number < 50 ? "created" : "refused"), "\(number): \(answer)")
        if number >= 50 { #expect(answer[1] == "full") }
      }
      // The aim of 10 ms is measured by scripts/bench organics; on a shared machine this only finds what hangs.
      #expect(slowest < 1_000, "\(slowest) ms")
      var served: [String] = []
      for request in 1...5 {
        let claim = try await queue.claim(
          worker: "w", request: request, nonce: "n\(request)", organicMax: 10, syntheticMax: 0,
          organicLeaseMilliseconds: 60_000, syntheticLeaseMilliseconds: 60_000)
        served += claim.grants.map(\.id)
      }
      #expect(served == (0..<50).map { "r\($0)" })
      let again = try await call(queue, "submit", "r79", "chat", DoorTests.good)
      #expect(again.first == "created", "a refused id is not remembered")
    }
  }

  @Test("the costliest payload that is read takes less than a million additions")
  @IO func worstPayload() async throws {
    try await withDoor { queue in
      let empty = Array(repeating: "[]", count: 21_000).joined(separator: ",")
      let payload = #"{"messages":[{"role":"user","content":"x"}],"x":["# + empty + "]}"
      #expect(payload.utf8.count > 60_000 && payload.utf8.count <= 65_536)
      // Held against a million additions, 5 to 10 ms, on the same Redis in turns: machines differ, and are shared.
      // The client's part is in it, which the sanitizers make long.
      let additions = "local sum = 0 for number = 1, 1000000 do sum = sum + number end return sum"
      var (fastest, reference) = (Int.max, Int.max)
      for number in 0..<10 {
        let started = Monotonic.now()
        let answer = try await call(queue, "submit", "w\(number)", "chat", payload)
        let read = Monotonic.now()
        _ = try await queue.redis.send("EVAL", additions, "0")
        fastest = min(fastest, (read.nanoseconds - started.nanoseconds) / 1000)
        reference = min(reference, (Monotonic.now().nanoseconds - read.nanoseconds) / 1000)
        #expect(answer.first == "created")
      }
      #expect(fastest < reference, "\(fastest) microseconds, a million additions \(reference)")
    }
  }

  @Test("usage has room for so many accounts; what comes after them is counted together")
  @IO func usage() async throws {
    try await withDoor { queue in
      let fill = "for i = ARGV[1], ARGV[1] + 9999 do redis.call('HSET', KEYS[1], 'x' .. i, 1) end"
      for start in stride(from: 1, to: 299_997, by: 10_000) {
        _ = try await queue.redis.send("EVAL", fill, "1", queue.keys.fixed(.usage), String(start))
      }
      _ = try await queue.redis.send("HDEL", queue.keys.fixed(.usage), "x1", "x2", "x3")
      for (number, account) in ["known", "late", "known", "later"].enumerated() {
        let id = "u\(number)"
        let submitted = try await call(queue, "submit", id, "chat", DoorTests.good, "account", account)
        #expect(submitted.first == "created")
        let claim = try await queue.claim(
          worker: "w", request: number + 1, nonce: "n\(number)", organicMax: 1, syntheticMax: 0,
          organicLeaseMilliseconds: 60_000, syntheticLeaseMilliseconds: 60_000)
        let token = try #require(claim.grants.first).token
        let last = [("end", "done"), ("prompt_tokens", "3"), ("completion_tokens", "4")]
        let end = Settlement(id: id, token: token, state: .done, attempts: [], last: last)
        #expect(try await queue.settle([end]) == [.ok])
      }
      let names = [
        "known|chat|requests", "known|chat|completion_tokens", "late|chat|requests", "*|chat|requests",
      ]
      let reply = try await queue.redis.send(
        RedisCommand(words: ["HMGET", queue.keys.fixed(.usage)] + names))
      #expect(reply.elements?.map { $0.text ?? "" } == ["2", "8", "", "2"])
    }
  }

  @Test("the functions need one key of a shard")
  @IO func keys() async throws {
    try await withDoor { queue in
      for keys in [["0"], ["1", "organic"], ["2", "vision:{q}:organic", "vision:{q}:due"]] {
        do throws(RedisError) {
          _ = try await queue.redis.send(RedisCommand(words: ["FCALL", "vision_status_v1"] + keys + ["a"]))
          Issue.record("taken: \(keys)")
        } catch {
          #expect(error.message.contains("needs one key, such as vision:{q}:organic"), "\(error)")
        }
      }
    }
  }

  @Test("a published library is never replaced")
  @IO func library() async throws {
    let server = try PrivateRedis()
    try await server.start()
    let client = try server.client()
    defer { client.close() }
    #expect(try await FunctionLibrary.install(on: client) == .loaded)
    #expect(try await FunctionLibrary.install(on: client) == .present)
    #expect(FunctionLibrary.functions == ["vision_submit_v1", "vision_cancel_v1", "vision_status_v1"])
    for name in FunctionLibrary.functions {
      let answer = try await client.send("FCALL", name, "1", "vision:{q}:organic", "a", "chat", "{}")
      #expect(answer[0]?.text == (name == "vision_submit_v1" ? "refused" : "unknown"))
    }
    let other =
      "#!lua name=vision_v1\nredis.register_function('vision_status_v1', function() return 'mine' end)"
    _ = try await client.send("FUNCTION", "LOAD", "REPLACE", other)
    #expect(try await FunctionLibrary.install(on: client) == .differs)
    let answer = try await client.send("FCALL", "vision_status_v1", "0")
    #expect(answer.text == "mine")
    await server.stop()
  }

  @Test("version 1 of the library is what it was when it was first published")
  @IO func pinned() async throws {
    try await TestRedis.withClient { redis in
      let digest = try await redis.send("EVAL", "return redis.sha1hex(ARGV[1])", "0", FunctionLibrary.source)
      // Gateways rely on it. Before the first release: put the new digest here. After it: a change of what
      // the functions do belongs into a version 2 beside this one.
      #expect(digest.text == "c1e3df74f2676a2199e6601741c44fe486a1d349")
    }
  }
}
