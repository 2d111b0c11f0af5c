import Common

/// Carries the pieces of all users' answers to their reply streams: what one turn of the loop brought leaves
/// in one call.
@IO
final class ReplyWriter {
  /// One organic job's reply.
  final class Reply {
    let id: String
    let token: String
    fileprivate var next = 1
    /// Tokens of the answer as far as it was given to the writer.
    fileprivate var tokens = 0
    fileprivate var pending: [[UInt8]] = []
    fileprivate var isQueued = false
    fileprivate var isWriting = false
    fileprivate var idle: Signal?
    /// Called once when the reply takes no more.
    var onRefusal: ((LeaseResult) -> Void)?
    /// Why the reply takes no more; nil while it does.
    fileprivate(set) var refusal: LeaseResult?

    init(id: String, token: String) {
      self.id = id
      self.token = token
    }
  }

  /// Most pieces of one reply in one call.
  static let piecesMax = 64
  /// Most bytes of an entry that is made of several pieces.
  static let joinedBytesMax = 16 << 10
  /// Most bytes of one call; what is over it waits for the next.
  static let batchBytesMax = 4 << 20

  private let queue: JobQueue
  private let replyBytesMax: Int
  private var queued: [Reply] = []
  private var isFlushQueued = false
  private var isCalling = false

  init(queue: JobQueue, replyBytesMax: Int) {
    self.queue = queue
    self.replyBytesMax = replyBytesMax
  }

  /// Adds a piece to a reply. Pieces that wait together become one entry: a burst of tokens is written as
  /// fast as it came.
  /// - Parameter tokens: those of the answer up to this piece.
  func write(_ piece: [UInt8], to reply: Reply, tokens: Int = 0) {
    guard reply.refusal == nil else { return }
    reply.tokens = max(reply.tokens, tokens)
    if let last = reply.pending.indices.last,
      reply.pending[last].count + piece.count <= ReplyWriter.joinedBytesMax
    {
      reply.pending[last] += piece
    } else {
      reply.pending.append(piece)
    }
    enqueue(reply)
  }

  /// Waits until all pieces of a reply are written, or refused.
  func drain(_ reply: Reply) async {
    guard reply.refusal == nil, reply.isWriting || !reply.pending.isEmpty else { return }
    let idle = reply.idle ?? Signal()
    reply.idle = idle
    await idle.wait()
  }

  private func enqueue(_ reply: Reply) {
    if !reply.isQueued {
      reply.isQueued = true
      queued.append(reply)
    }
    guard !isFlushQueued, !isCalling else { return }
    isFlushQueued = true
    EventLoop.shared.atEndOfTurn { [weak self] in
      guard let self else { return }
      self.isFlushQueued = false
      IO.task { @IO in await self.flush() }
    }
  }

  /// One call at a time: what comes meanwhile goes with the next one.
  private func flush() async {
    guard !isCalling else { return }
    isCalling = true
    while !queued.isEmpty {
      let batch = takeBatch()
      let results: [LeaseResult]
      do throws(RedisError) {
        results = try await queue.append(
          batch.map { (id: $0.reply.id, token: $0.reply.token, first: $0.first, pieces: $0.pieces) },
          tokens: batch.map(\.reply.tokens), replyBytesMax: replyBytesMax)
      } catch {
        Log.shared.warning("replies cannot be written", ["error": LoggedError(error)])
        // Redis was away for longer than a lease: the jobs are somebody else's now.
        results = Array(repeating: .lost, count: batch.count)
      }
      for (item, result) in zip(batch, results) { finish(item.reply, result) }
    }
    isCalling = false
  }

  private struct Item {
    let reply: Reply
    let first: Int
    let pieces: [[UInt8]]
  }

  private func takeBatch() -> [Item] {
    var batch: [Item] = []
    var bytes = 0
    var index = 0
    while index < queued.count, batch.count < 100, bytes < ReplyWriter.batchBytesMax {
      let reply = queued[index]
      var pieces = reply.pending
      if pieces.count > ReplyWriter.piecesMax {
        pieces = Array(pieces.prefix(ReplyWriter.piecesMax))
        reply.pending.removeFirst(ReplyWriter.piecesMax)
      } else {
        reply.pending = []
      }
      bytes += pieces.reduce(0) { $0 + $1.count }
      batch.append(Item(reply: reply, first: reply.next, pieces: pieces))
      reply.next += pieces.count
      reply.isWriting = true
      reply.isQueued = false
      index += 1
    }
    queued.removeFirst(index)
    return batch
  }

  private func finish(_ reply: Reply, _ result: LeaseResult) {
    reply.isWriting = false
    if result != .ok {
      reply.refusal = result
      reply.pending = []
      reply.onRefusal?(result)
      reply.onRefusal = nil
    } else if !reply.pending.isEmpty {
      enqueue(reply)
      return
    }
    reply.idle?.fire()
    reply.idle = nil
  }
}
