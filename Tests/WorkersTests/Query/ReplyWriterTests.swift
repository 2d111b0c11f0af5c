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

  /// Runs `body` with the reply of a running job, and a function that reads the entries of its stream.
  @IO private func withReply(
    _ body: @IO (ReplyWriter, ReplyWriter.Reply, () async throws -> [[UInt8]]) async throws -> Void
  ) async throws {
    try await QueueBench.run { bench in
      try await bench.submit("a")
      let grant = try #require(try await bench.claim().grants.first)
      let writer = ReplyWriter(queue: bench.queue, replyBytesMax: 64 << 20)
      let reply = ReplyWriter.Reply(id: grant.id, token: grant.token)
      try await body(writer, reply) {
        let key = bench.queue.keys.reply(grant.id)
        let all = try await bench.queue.redis.send("XRANGE", key, "-", "+").elements ?? []
        return all.compactMap { entry in
          guard let fields = entry[1]?.elements, let name = fields.firstIndex(of: .bytes(Array("data".utf8)))
          else { return nil }
          return fields[name + 1].data
        }
      }
    }
  }
}
