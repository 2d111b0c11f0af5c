import TestSupport
import Testing

@testable import Common

/// A worker's pieces that are not looked at: what must still keep them out of a reply.
@Suite("The fence of a worker's replies")
struct AppendFenceTests {
  /// A worker with two running requests, each of which has its first piece.
  @IO private final class Writer {
    let bench: QueueBench
    var fence = AppendFence(worker: "w")
    var tokens: [String: String] = [:]
    private(set) var positions: [String: ReplyPosition] = [:]

    init(_ bench: QueueBench) async throws {
      self.bench = bench
      try await bench.submit("a", "b")
      for grant in try await bench.claim().grants { tokens[grant.id] = grant.token }
      try #require(tokens.count == 2)
      #expect(try await send(["a", "b"], fence.advance(), isTrusted: false) == .written(refused: [:]))
    }

    /// One piece for each reply; positions move on where they are written.
    func send(_ ids: [String], _ step: AppendFence.Step, isTrusted: Bool = true) async throws -> AppendResult
    {
      let pieces = ids.map { id in
        let start = positions[id] ?? ReplyPosition()
        return ReplyPiece(
          id: id, token: tokens[id] ?? "", isTrusted: isTrusted, end: start.after(bytes: 1, tokens: 1),
          data: [65])
      }
      let result = try await bench.queue.append(pieces, step)
      if case .written(let refused) = result {
        for (index, piece) in pieces.enumerated() where refused[index] == nil {
          positions[piece.id] = piece.end
        }
      }
      return result
    }

    func numbers(_ id: String) async throws -> [String] { try await bench.reply(id).compactMap { $0["n"] } }
  }

  @Test("who takes a job with content keeps everything out that was not looked at")
  @IO func cancelled() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      #expect(try await writer.send(["a", "b"], writer.fence.advance()) == .written(refused: [:]))
      #expect(try await writer.bench.queue.cancel(id: "a") == "cancelled")
      #expect(try await writer.send(["a", "b"], writer.fence.advance()) == .closed)
      #expect(try await writer.send(["a", "b"], writer.fence.open()) == .written(refused: [0: .cancelled]))
      #expect(try await writer.send(["b"], writer.fence.advance()) == .written(refused: [:]))
      #expect(try await writer.numbers("a") == ["1", "2"])
      #expect(try await writer.numbers("b") == ["1", "2", "3", "4"])
    }
  }

  @Test(
    "a call that comes again writes nothing twice, and one that opened a generation does not bring it back")
  @IO func repeated() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let opening = writer.fence.open()
      #expect(try await writer.send(["a", "b"], opening) == .written(refused: [:]))
      let next = writer.fence.advance()
      #expect(try await writer.send(["a"], next) == .written(refused: [:]))
      #expect(try await writer.send(["a"], next) == .closed, "it was carried out already")
      let pieces = ReplyPiece.following(.init(pieces: 1, bytes: 1), "b", writer.tokens["b"] ?? "", [[65]])
      #expect(try await writer.bench.queue.append(pieces, opening) == .written(refused: [:]), "it is there")
      #expect(try await writer.numbers("b") == ["1", "2"])
      #expect(try await writer.bench.queue.cancel(id: "a") == "cancelled")
      #expect(try await writer.bench.queue.append(pieces, opening) == .written(refused: [:]))
      #expect(try await writer.send(["a"], next) == .closed, "the generation is over")
      #expect(try await writer.numbers("a") == ["1", "2", "3"])
    }
  }

  @Test("a call out of order is not carried out")
  @IO func order() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let (first, second) = (writer.fence.advance(), writer.fence.advance())
      #expect(try await writer.send(["b"], second) == .closed)
      #expect(try await writer.send(["a"], first) == .written(refused: [:]))
      #expect(try await writer.send(["b"], second) == .written(refused: [:]))
    }
  }

  @Test("a Redis that lost the latest calls lets no gap into a reply")
  @IO func lostCalls() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let (redis, keys) = (writer.bench.queue.redis, writer.bench.queue.keys)
      let fence = try await redis.send("HGET", keys.fence("w"), "stands").text ?? ""
      #expect(try await writer.send(["a"], writer.fence.advance()) == .written(refused: [:]))
      // As it is on a replica that takes over without the latest call.
      let last = try await redis.send("XREVRANGE", keys.reply("a"), "+", "-", "COUNT", "1")
      _ = try await redis.send("XDEL", keys.reply("a"), last[0]?[0]?.text ?? "")
      _ = try await redis.send("HSET", keys.fence("w"), "stands", fence)
      #expect(try await writer.send(["b"], writer.fence.advance()) == .closed)
      #expect(try await writer.send(["b"], writer.fence.open()) == .written(refused: [:]))
      // What the other one wrote before is not trusted in the new generation.
      #expect(
        try await writer.send(["a"], writer.fence.advance(), isTrusted: false)
          == .written(refused: [0: .lost]))
      #expect(try await writer.numbers("a") == ["1"])
    }
  }

  @Test("a reply that vanished is not begun in the middle")
  @IO func vanished() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let queue = writer.bench.queue
      _ = try await queue.redis.send("DEL", queue.keys.reply("a"))
      #expect(try await writer.send(["a", "b"], writer.fence.advance()) == .written(refused: [0: .lost]))
      #expect(try await queue.redis.send("EXISTS", queue.keys.reply("a")).int == 0)
    }
  }

  @Test("a fence that ran out is opened again, and goes by itself")
  @IO func ranOut() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let (redis, key) = (bench.queue.redis, bench.queue.keys.fence("w"))
      _ = try await redis.send("DEL", key)
      #expect(try await writer.send(["a"], writer.fence.advance()) == .closed)
      #expect(try await writer.send(["a"], writer.fence.open()) == .written(refused: [:]))
      #expect(try await writer.send(["a"], writer.fence.advance()) == .written(refused: [:]))
      #expect(try await redis.send("TTL", key).int ?? -1 > 0)
    }
  }

  @Test("a damaged reply ends itself and no other, and what is repeated is written once")
  @IO func damaged() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let (redis, keys) = (bench.queue.redis, bench.queue.keys)
      _ = try await redis.send("SET", keys.reply("b"), "x")
      let step = writer.fence.advance()
      #expect(try await writer.send(["a", "b"], step) == .written(refused: [1: .lost]))
      #expect(try await writer.send(["a", "b"], step) == .closed)
      #expect(
        try await writer.send(["b"], writer.fence.open(), isTrusted: false) == .written(refused: [0: .lost]))
      #expect(try await writer.numbers("a") == ["1", "2"])
      _ = try await redis.send("DEL", keys.reply("b"))
    }
  }

  @Test("a job whose reply vanished and that runs again elsewhere takes nothing of the first worker")
  @IO func vanishedAndTaken() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      _ = try await bench.queue.redis.send("DEL", bench.queue.keys.reply("a"))
      try await bench.pass(100_000)
      #expect(try await bench.recover()?.takenBack == 1)
      let grant = try #require(try await bench.claim("other").grants.first { $0.id == "a" })
      #expect(try await bench.queue.append("a", grant.token, [[66]]) == [:])
      #expect(try await writer.send(["a"], writer.fence.advance()) == .closed)
      #expect(try await writer.send(["a"], writer.fence.open()) == .written(refused: [0: .lost]))
      #expect(try await bench.reply("a").map { $0["data"] } == ["B"])
    }
  }

  @Test("a repair that takes a job away is seen, also when its record is gone")
  @IO func repaired() async throws {
    try await QueueBench.run { bench in
      let writer = try await Writer(bench)
      let queue = writer.bench.queue
      _ = try await queue.redis.send("DEL", queue.keys.job("a"), queue.keys.payload("a"))
      _ = try await FsckRepair(queue).run()
      #expect(try await writer.send(["a", "b"], writer.fence.advance()) == .closed)
      #expect(try await writer.send(["a", "b"], writer.fence.open()) == .written(refused: [0: .lost]))
      #expect(try await writer.bench.reply("a").last?["end"] == "dead")
    }
  }
}
