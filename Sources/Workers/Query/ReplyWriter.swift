import Common

/// Carries the pieces of all users' answers to their reply streams: what one turn of the loop brought leaves
/// in one call.
@IO
final class ReplyWriter {
  /// One organic job's reply.
  final class Reply: PieceSink {
    let id: String
    let token: String
    private let writer: ReplyWriter
    /// How far the reply has come with what was given to Redis.
    fileprivate var position = ReplyPosition()
    /// The generation of the fence in which a piece of the reply was written.
    fileprivate var generation = 0
    /// Tokens of the answer as far as it was given to the writer.
    fileprivate var tokens = 0
    /// Bytes as far as they were given to the writer.
    fileprivate var bytes = 0
    /// Entries that are full, and the one that grows.
    fileprivate var full: [[UInt8]] = []
    fileprivate var open: [UInt8] = []
    fileprivate var isQueued = false
    fileprivate var isWriting = false
    fileprivate var isEnded = false
    /// Called once when no piece waits any more.
    fileprivate var whenWritten: (() -> Void)?
    /// Called once when the reply takes no more.
    var onRefusal: ((LeaseResult) -> Void)?
    /// Why the reply takes no more; nil while it does.
    fileprivate(set) var refusal: LeaseResult?

    init(id: String, token: String, writer: ReplyWriter) {
      self.id = id
      self.token = token
      self.writer = writer
    }

    func take(_ piece: [UInt8], tokens: Int) { writer.write(piece, to: self, tokens: tokens) }

    /// Bytes of what was given to Redis.
    var writtenBytes: Int { position.bytes }
    fileprivate var hasPending: Bool { !open.isEmpty || !full.isEmpty }
  }

  /// Most entries of one call.
  nonisolated static let piecesMax = 200
  /// Most bytes of an entry that is made of several pieces.
  nonisolated static let joinedBytesMax = 16 << 10
  /// Most bytes of one call; what is over it waits for the next.
  nonisolated static let batchBytesMax = 4 << 20
  /// Most calls on their way at once. One is the rule, and the next one takes along all that came meanwhile; but
  /// what comes when Redis has been busy with something else for a while need not wait for it twice.
  nonisolated static let callsMax = 4
  /// How long the latest call must have been on its way before another one goes, ns.
  nonisolated static let patienceNanoseconds = 1_000_000
  /// Buffers that are kept for the next pieces, and the largest one that is.
  private static let sparesMax = 4_096
  private static let spareBytesMax = 1 << 10

  private let queue: JobQueue
  private let replyBytesMax: Int
  private var fence: AppendFence
  private var queued: [Reply] = []
  private var isFlushQueued = false
  private var calls = 0
  private var lastCallAt = Monotonic(nanoseconds: 0)
  /// Most calls that were on their way at once so far.
  private(set) var mostCalls = 0
  private var spares: [[UInt8]] = []

  init(queue: JobQueue, worker: String, replyBytesMax: Int) {
    self.queue = queue
    fence = AppendFence(worker: worker)
    self.replyBytesMax = replyBytesMax
  }

  /// Adds a piece to a reply. Pieces that wait together become one entry: a burst of tokens is written as
  /// fast as it came.
  /// - Parameter tokens: those of the answer up to this piece.
  func write(_ piece: [UInt8], to reply: Reply, tokens: Int = 0) {
    guard reply.refusal == nil, !reply.isEnded else { return }
    guard reply.bytes + piece.count <= replyBytesMax else { return refuse(reply, .tooLarge) }
    reply.bytes += piece.count
    reply.tokens = max(reply.tokens, tokens)
    if reply.open.isEmpty {
      if let spare = spares.popLast() { reply.open = spare }
    } else if reply.open.count + piece.count > ReplyWriter.joinedBytesMax {
      reply.full.append(reply.open)
      reply.open = []
    }
    reply.open += piece
    enqueue(reply)
  }

  /// Ends a reply: it takes no more, since its job is about to be settled and nobody would look whether it still may.
  /// - Parameter written: called once, when all its pieces are written, or refused by Redis; also at once.
  func end(_ reply: Reply, written: @escaping () -> Void) {
    reply.isEnded = true
    whenWritten(reply, written)
  }

  /// Calls `body` once when no piece of the reply waits any more, also at once.
  func whenWritten(_ reply: Reply, _ body: @escaping () -> Void) {
    guard reply.isWriting || reply.hasPending else { return body() }
    assert(reply.whenWritten == nil, "two wait for reply \(reply.id)")
    reply.whenWritten = body
  }

  /// A reply whose pieces are on their way waits for their end: calls that are repeated cannot change places.
  private func enqueue(_ reply: Reply) {
    enlist(reply)
    guard !isFlushQueued else { return }
    isFlushQueued = true
    EventLoop.shared.atEndOfTurn {
      self.isFlushQueued = false
      if self.mayCall { IO.task { @IO in await self.flush() } }
    }
  }

  private func enlist(_ reply: Reply) {
    guard !reply.isQueued, !reply.isWriting else { return }
    reply.isQueued = true
    queued.append(reply)
  }

  private var mayCall: Bool {
    guard calls > 0, !queued.isEmpty else { return !queued.isEmpty }
    return calls < ReplyWriter.callsMax
      && Monotonic.now().nanoseconds - lastCallAt.nanoseconds >= ReplyWriter.patienceNanoseconds
  }

  /// What comes while a call is on its way goes with the next one.
  private func flush() async {
    while mayCall {
      calls += 1
      mostCalls = max(mostCalls, calls)
      lastCallAt = Monotonic.now()
      var batch = takeBatch()
      var refused: [Int: LeaseResult] = [:]
      do throws(RedisError) {
        refused = try await append(&batch)
      } catch {
        Log.shared.warning("replies cannot be written", ["error": LoggedError(error)])
        // Redis was away for longer than a lease: the jobs are somebody else's now.
        for index in batch.pieces.indices { refused[index] = .lost }
      }
      calls -= 1
      finish(&batch, refused)
    }
  }

  /// Writes the pieces, and has all of them looked at when somebody took a job from this worker.
  private func append(_ batch: inout Batch) async throws(RedisError) -> [Int: LeaseResult] {
    var step = fence.advance()
    batch.prepare(for: step)
    var result = try await queue.append(batch.pieces, step)
    if result == .closed {
      step = fence.open()
      batch.prepare(for: step)
      result = try await queue.append(batch.pieces, step)
    }
    guard case .written(let refused) = result else {
      throw RedisError(.unexpectedReply, "append refused a new generation")
    }
    for index in batch.replies.indices where refused[index] == nil {
      batch.replies[index].generation = step.generation
    }
    return refused
  }

  /// Pieces on their way, each beside its reply.
  private struct Batch {
    var replies: [Reply] = []
    var pieces: [ReplyPiece] = []
    var bytes = 0

    @IO mutating func add(_ data: [UInt8], of reply: Reply, tokens: Int) {
      reply.position = reply.position.after(bytes: data.count, tokens: tokens)
      reply.isWriting = true
      replies.append(reply)
      pieces.append(ReplyPiece(id: reply.id, token: "", end: reply.position, data: data))
      bytes += data.count
    }

    /// Settles which pieces are looked at. Only these need a token.
    @IO mutating func prepare(for step: AppendFence.Step) {
      for index in pieces.indices {
        pieces[index].isTrusted = !step.opens && replies[index].generation == step.generation
        if !pieces[index].isTrusted { pieces[index].token = replies[index].token }
      }
    }

    var hasRoom: Bool { pieces.count < ReplyWriter.piecesMax && bytes < ReplyWriter.batchBytesMax }
  }

  private func takeBatch() -> Batch {
    var batch = Batch()
    batch.replies.reserveCapacity(min(queued.count, ReplyWriter.piecesMax))
    batch.pieces.reserveCapacity(min(queued.count, ReplyWriter.piecesMax))
    var taken = 0
    while taken < queued.count, batch.hasRoom {
      let reply = queued[taken]
      taken += 1
      reply.isQueued = false
      var count = 0
      while count < reply.full.count, batch.hasRoom {
        batch.add(reply.full[count], of: reply, tokens: reply.position.tokens)
        count += 1
      }
      reply.full.removeFirst(count)
      if reply.full.isEmpty, !reply.open.isEmpty, batch.hasRoom {
        var data: [UInt8] = []
        swap(&data, &reply.open)
        batch.add(data, of: reply, tokens: reply.tokens)
      }
    }
    queued.removeFirst(taken)
    return batch
  }

  private func finish(_ batch: inout Batch, _ refused: [Int: LeaseResult]) {
    for (index, reason) in refused { refuse(batch.replies[index], reason) }
    for index in batch.replies.indices {
      batch.replies[index].isWriting = false
      var data: [UInt8] = []
      swap(&data, &batch.pieces[index].data)
      keep(&data)
    }
    for reply in batch.replies {
      if reply.hasPending {
        enlist(reply)
      } else {
        let written = reply.whenWritten
        reply.whenWritten = nil
        written?()
      }
    }
  }

  /// Keeps a buffer for later pieces: a token costs no allocation.
  private func keep(_ data: inout [UInt8]) {
    guard data.capacity <= ReplyWriter.spareBytesMax, spares.count < ReplyWriter.sparesMax else { return }
    data.removeAll(keepingCapacity: true)
    spares.append(data)
  }

  /// The reply takes no more. Past its cap, what was taken before is still written.
  private func refuse(_ reply: Reply, _ reason: LeaseResult) {
    if reason != .tooLarge {
      reply.full = []
      reply.open = []
    }
    guard reply.refusal == nil else { return }
    reply.refusal = reason
    let tell = reply.onRefusal
    reply.onRefusal = nil
    tell?(reason)
  }
}
