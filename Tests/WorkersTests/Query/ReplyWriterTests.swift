import Common
import TestSupport
import Testing

@testable import Workers

/// Pieces of answers on their way into reply streams.
@Suite("Reply writer")
struct ReplyWriterTests {
  @Test("whatever the sizes and the moments, a reply holds every byte once and in order")
  func bytesAreKept() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    try await withReply { writer, reply, entries in
      var sent: [UInt8] = []
      for round in 0..<40 {
        for _ in 0..<Int.random(in: 1...12, using: &random) {
          let size = Int.random(in: 1...(round % 8 == 7 ? 40_000 : 400), using: &random)
          let piece = (0..<size).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
          sent += piece
          writer.write(piece, to: reply)
        }
        if Bool.random(using: &random) { await EventLoop.shared.sleep(milliseconds: 1) }
      }
      await writer.drain(reply)
      let written = try await entries()
      #expect(written.flatMap { $0 } == sent, "seed \(seed)")
    }
  }

  @Test("pieces that wait together become one entry, up to its size")
  func piecesAreJoined() async throws {
    try await withReply { writer, reply, entries in
      let piece = [UInt8](repeating: 0x61, count: 1_000)
      for _ in 0..<40 { writer.write(piece, to: reply) }
      await writer.drain(reply)
      let most = ReplyWriter.joinedBytesMax / piece.count * piece.count
      let sizes = try await entries().map(\.count)
      #expect(sizes == [most, most, 40_000 - 2 * most])
      // What comes later is an entry of its own.
      writer.write(piece, to: reply)
      await writer.drain(reply)
      #expect(try await entries().map(\.count) == sizes + [1_000])
    }
  }

  @Test("while Redis is away others need not wait for a call that does, and each reply stays in order")
  func severalCalls() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    try await withReplies(["a", "b", "c", "d", "e", "f"]) { bench, writer, replies in
      var sent = replies.map { _ in [UInt8]() }
      for _ in 0..<20 {
        // Everybody's commands wait for so long, as if Redis had no processor.
        _ = try await bench.queue.redis.send("CLIENT", "PAUSE", "8", "ALL")
        for _ in 0..<8 {
          for _ in 0..<4 {
            let index = Int.random(in: 0..<replies.count, using: &random)
            let size = Int.random(in: 1...50, using: &random)
            let piece = (0..<size).map { _ in UInt8.random(in: 65...90, using: &random) }
            sent[index] += piece
            writer.write(piece, to: replies[index])
          }
          await EventLoop.shared.sleep(milliseconds: 1)
        }
      }
      for reply in replies { await writer.drain(reply) }
      #expect(writer.mostCalls > 1, "seed \(seed)")
      #expect(writer.mostCalls <= ReplyWriter.callsMax)
      for (reply, sent) in zip(replies, sent) {
        #expect(try await entries(bench, reply).flatMap { $0 } == sent, "seed \(seed)")
        #expect(reply.refusal == nil)
      }
    }
  }

  /// Runs `body` with the reply of a running job, and a function that reads the entries of its stream.
  @IO private func withReply(
    _ body: @IO (ReplyWriter, ReplyWriter.Reply, () async throws -> [[UInt8]]) async throws -> Void
  ) async throws {
    try await withReplies(["a"]) { bench, writer, replies in
      try await body(writer, replies[0]) { try await entries(bench, replies[0]) }
    }
  }

  @IO private func withReplies(
    _ ids: [String], _ body: @IO (QueueBench, ReplyWriter, [ReplyWriter.Reply]) async throws -> Void
  ) async throws {
    try await QueueBench.run { bench in
      for id in ids { try await bench.submit(id) }
      let writer = ReplyWriter(queue: bench.queue, worker: "w", replyBytesMax: 64 << 20)
      let replies = try await bench.claim().grants.map {
        ReplyWriter.Reply(id: $0.id, token: $0.token, writer: writer)
      }
      try #require(replies.count == ids.count)
      try await body(bench, writer, replies)
    }
  }

  @IO private func entries(_ bench: QueueBench, _ reply: ReplyWriter.Reply) async throws -> [[UInt8]] {
    let key = bench.queue.keys.reply(reply.id)
    let all = try await bench.queue.redis.send("XRANGE", key, "-", "+").elements ?? []
    return all.compactMap { entry in
      guard let fields = entry[1]?.elements, let name = fields.firstIndex(of: .bytes(Array("data".utf8)))
      else { return nil }
      return fields[name + 1].data
    }
  }
}

extension ReplyWriter {
  /// Waits until no piece of a reply waits any more.
  fileprivate func drain(_ reply: Reply) async {
    await withUnsafeContinuation { continuation in whenWritten(reply) { continuation.resume() } }
  }
}
