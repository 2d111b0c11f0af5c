import TestSupport
import Testing

@testable import Common

/// One thing that a careless hand does to a queue, and what ``Fsck`` calls it. In the words `P` stands for the
/// period, `C` for the check that waits, `S` for a planned query that runs; the second word is a key.
struct Damage: Sendable, CustomTestStringConvertible {
  let words: [String]
  let kind: FsckReport.Kind

  init(_ words: [String], _ kind: FsckReport.Kind) {
    self.words = words
    self.kind = kind
  }

  var testDescription: String { words.joined(separator: " ") }

  /// Whether the ledger still tells, after the repair, what became of each planned query.
  var keepsPlan: Bool { !(words[0] == "XADD" && words[1] == "ledger" && words.contains("s:P:chat:0:0")) }

  /// Does it.
  @IO func make(_ bench: QueueBench, _ period: PeriodID) async throws {
    let queue = bench.queue
    let check = try await queue.redis.send("ZRANGE", queue.keys.check("chat"), "0", "0")[0]?.text ?? ""
    let leases = try await bench.send("ZRANGE", .lease, "0", "-1").elements ?? []
    let query = leases.compactMap(\.text).first { $0.hasPrefix("s:") } ?? ""
    var words = self.words.map { word in
      switch word {
      case "P", "C", "S": ["P": period.description, "C": check, "S": query][word] ?? ""
      default:
        word.replacing(":P", with: ":\(period)").replacing("job:C", with: "job:" + check)
          .replacing("answer:C", with: "answer:" + check).replacing("job:S", with: "job:" + query)
      }
    }
    words[1] = queue.keys.prefix + words[1]
    if words[0] == "XDEL" {
      let entries = try await queue.redis.send("XRANGE", words[1], "-", "+").elements ?? []
      words[2] = (words[2] == "LAST" ? entries.last : entries.first)?[0]?.text ?? ""
    }
    if words[0] == "SET" { _ = try await queue.redis.send("DEL", words[1]) }
    _ = try await queue.redis.send(RedisCommand(words: words))
  }

  static let all: [Damage] = [
    Damage(["DEL", "job:waits"], .noRecord),
    Damage(["DEL", "job:runs"], .noRecord),
    Damage(["ZREM", "lease", "runs"], .misplaced),
    Damage(["ZREM", "organic", "waits"], .misplaced),
    Damage(["ZADD", "organic", "9", "runs"], .misplaced),
    Damage(["ZADD", "dead", "9", "done"], .misplaced),
    Damage(["HSET", "job:waits", "state", "running"], .misplaced),
    Damage(["HSET", "job:waits", "state", "odd"], .damaged),
    Damage(["HDEL", "job:runs", "token"], .noToken),
    Damage(["PERSIST", "job:done"], .lifetime),
    Damage(["EXPIRE", "job:waits", "99"], .lifetime),
    Damage(["PERSIST", "reply:done"], .lifetime),
    Damage(["PERSIST", "worker:w"], .lifetime),
    Damage(["DEL", "payload:waits"], .body),
    Damage(["SET", "payload:done", "x"], .body),
    Damage(["SET", "payload:nobody", "x"], .noRecord),
    Damage(["SET", "answer:nobody", "x"], .noRecord),
    Damage(["ZADD", "organic:deadline", "9", "runs"], .deadline),
    Damage(["ZADD", "due", "9", "nonsense"], .damaged),
    Damage(["XADD", "reply:runs", "*", "n", "4", "data", "x"], .reply),
    Damage(["XADD", "reply:done", "*", "n", "1", "data", "x"], .reply),
    Damage(["XADD", "reply:done", "*", "end", "done"], .reply),
    Damage(["XADD", "reply:runs", "*", "end", "done"], .reply),
    Damage(["DEL", "reply:done"], .reply),
    Damage(["HINCRBY", "checks", "bytes", "1"], .counter),
    Damage(["HINCRBY", "checks", "waiting:chat", "1"], .counter),
    Damage(["HINCRBY", "counts", "attempt", "1"], .counter),
    Damage(["SET", "dead:bytes", "1"], .counter),
    Damage(["HINCRBY", "period:P", "scheduled", "-1"], .period),
    Damage(["HINCRBY", "period:P", "done", "1"], .period),
    Damage(["HINCRBY", "period:P", "planned", "1"], .period),
    Damage(["ZREM", "periods", "P"], .period),
    Damage(["DEL", "period:P"], .period),
    Damage(["ZREM", "due", "s:P:chat:1:3"], .period),
    Damage(["XADD", "ledger", "*", "v", "1", "type", "odd"], .ledger),
    Damage(
      ["XADD", "ledger", "*", "v", "1", "type", "skip", "job", "s:P:chat:0:0", "reason", "volume"], .ledger),
    Damage(
      ["XADD", "ledger", "*", "v", "1", "type", "skip", "job", "s:P:chat:0:9", "reason", "volume"], .ledger),
    Damage(["EXPIRE", "period:P", "99"], .lifetime),
    // Whole keys of another type, and more than one damage at a time.
    Damage(["SET", "job:waits", "x"], .damaged),
    Damage(["SET", "job:runs", "x"], .damaged),
    Damage(["SET", "reply:runs", "x"], .damaged),
    Damage(["SET", "organic", "x"], .damaged),
    Damage(["SET", "organic:deadline", "x"], .damaged),
    Damage(["SET", "due", "x"], .damaged),
    Damage(["SET", "lease", "x"], .damaged),
    Damage(["SET", "check:chat", "x"], .damaged),
    Damage(["SET", "checks", "x"], .damaged),
    Damage(["SET", "counts", "x"], .damaged),
    Damage(["SET", "periods", "x"], .damaged),
    Damage(["SET", "period:P", "x"], .damaged),
    Damage(["DEL", "lease"], .misplaced),
    Damage(["DEL", "due"], .period),
    Damage(["DEL", "organic"], .misplaced),
    Damage(["DEL", "check:chat"], .misplaced),
    Damage(["DEL", "checks"], .counter),
    Damage(["DEL", "job:C"], .noRecord),
    Damage(["DEL", "answer:C"], .body),
    Damage(["HDEL", "job:C", "state"], .damaged),
    Damage(["DEL", "job:S"], .noRecord),
    Damage(["HDEL", "job:S", "token"], .noToken),
    Damage(["ZREM", "lease", "S"], .misplaced),
    Damage(["ZADD", "organic", "1", "S"], .misplaced),
    Damage(["HSET", "job:S", "state", "odd"], .damaged),
    Damage(["XDEL", "reply:runs", "1-1"], .reply),
    Damage(["XDEL", "reply:done", "LAST"], .reply),
  ]
}
