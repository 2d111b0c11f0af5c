import CHiredis
import Glibc

/// One physical connection to a Redis server, driven by hiredis on the event loop.
///
/// Replies are positional: the n-th reply belongs to the n-th command. So a command whose time is up
/// takes the whole connection with it. Commands issued in one turn of the loop leave in one write.
///
/// Life: `connect()` once; then `send` any number of times; it ends by `close()` or by itself, and
/// `onEnd` is called once. It is never used again after that. Until then hiredis and the timer hold it, not
/// weakly: a weak reference gives an object a side table, and its counting of references a slow path.
@IO
final class RedisConnection: ReadinessHandler {
  /// Called once when an established connection ends, with the reason.
  var onEnd: ((RedisError) -> Void)?

  private var context: UnsafeMutablePointer<redisAsyncContext>?
  private var registration: EventLoop.Registration?
  private var waiting = FIFO<Waiter>()
  private var timer: LoopTimer?
  private var connected: UnsafeContinuation<RedisError?, Never>?
  private var isEstablished = false
  private var isFlushQueued = false
  private var isArmed = false
  /// Why the connection ends, for those who wait for replies.
  private var endReason = RedisError(.outcomeUnknown, "the connection to Redis ended before the reply")

  private struct Waiter {
    let deadline: Monotonic
    let continuation: UnsafeContinuation<Result<RedisReply, RedisError>, Never>
  }

  /// Whether commands can be sent.
  var isOpen: Bool { context != nil && isEstablished }
  /// Commands that wait for replies.
  var waitingCount: Int { waiting.count }

  // MARK: life

  /// Connects to a numeric address or a socket path; see ``RedisClient`` for names.
  /// - Throws: `cannotConnect`.
  func connect(to endpoint: RedisAddress.Endpoint, timeoutMilliseconds: Int) async throws(RedisError) {
    let opened: UnsafeMutablePointer<redisAsyncContext>?
    switch endpoint {
    case .tcp(let host, let port): opened = redisAsyncConnect(host, Int32(port))
    case .unix(let path): opened = redisAsyncConnectUnix(path)
    case .sentinel: preconditionFailure("a Sentinel address is resolved first")
    }
    guard let opened else { throw RedisError(.cannotConnect, "out of memory") }
    if opened.pointee.err != 0 {
      let reason = String(cString: opened.pointee.errstr)
      redisAsyncFree(opened)
      throw RedisError(.cannotConnect, reason)
    }
    adopt(opened)
    let failure: RedisError? = await withUnsafeContinuation { continuation in
      connected = continuation
      timer = EventLoop.shared.after(milliseconds: timeoutMilliseconds) {
        self.drop(RedisError(.cannotConnect, "no answer within \(timeoutMilliseconds) ms"))
      }
    }
    if let failure { throw failure }
  }

  private func adopt(_ opened: UnsafeMutablePointer<redisAsyncContext>) {
    context = opened
    opened.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    // The one hook that hiredis calls on every way to free the context (onDisconnect is skipped when it
    // never connected): it gives back the reference taken here, so `self` outlives the context.
    opened.pointee.ev.data = Unmanaged.passRetained(self).toOpaque()
    opened.pointee.ev.cleanup = { owner in
      let connection = Unmanaged<RedisConnection>.fromOpaque(owner!).takeRetainedValue()
      IO.assumeIsolated { connection.contextWillBeFreed() }
    }
    opened.pointee.ev.addWrite = { owner in
      let connection = Unmanaged<RedisConnection>.fromOpaque(owner!).takeUnretainedValue()
      IO.assumeIsolated { connection.queueFlush() }
    }
    registration = EventLoop.shared.register(
      opened.pointee.c.fd, events: EventLoop.readable | EventLoop.writable, handler: self)
    isArmed = true
    redisAsyncSetConnectCallback(opened) { context, status in
      let connection = RedisConnection.of(context!)
      let reason = status == REDIS_OK ? nil : String(cString: context!.pointee.errstr)
      IO.assumeIsolated { connection.connectEnded(reason) }
    }
    redisAsyncSetDisconnectCallback(opened) { context, status in
      let connection = RedisConnection.of(context!)
      let text = status == REDIS_OK ? "closed" : String(cString: context!.pointee.errstr)
      IO.assumeIsolated { connection.willEnd(text) }
    }
  }

  private nonisolated static func of(_ context: UnsafePointer<redisAsyncContext>) -> RedisConnection {
    Unmanaged<RedisConnection>.fromOpaque(context.pointee.data).takeUnretainedValue()
  }

  private func connectEnded(_ reason: String?) {
    isEstablished = reason == nil
    // Here, and not when the waiting task runs again, which may be late on a busy machine.
    timer?.cancel()
    timer = nil
    resumeConnect(reason.map { RedisError(.cannotConnect, $0) })
  }

  private func resumeConnect(_ failure: RedisError?) {
    connected?.resume(returning: failure)
    connected = nil
  }

  private func willEnd(_ reason: String) {
    if endReason.code == .outcomeUnknown {
      endReason.message = "the connection to Redis ended before the reply: \(reason)"
    }
  }

  /// Ends the connection. Whoever waits for a reply gets `error`; a command that was already sent may
  /// have been executed.
  func drop(_ error: RedisError) {
    guard let context else { return }
    endReason = error
    redisAsyncFree(context)
  }

  private func contextWillBeFreed() {
    if let registration { EventLoop.shared.unregister(registration) }
    registration = nil
    context = nil
    timer?.cancel()
    timer = nil
    resumeConnect(RedisError(.cannotConnect, endReason.message))
    let notify = isEstablished ? onEnd : nil
    onEnd = nil
    isEstablished = false
    notify?(endReason)
  }

  // MARK: commands

  /// Sends a command and waits for its reply.
  /// - Throws: `outcomeUnknown` when the connection ends or `timeoutMilliseconds` pass first (then the
  ///   connection is dropped), or the error that the server answers.
  func send(_ command: RedisCommand, timeoutMilliseconds: Int) async throws(RedisError) -> RedisReply {
    let result: Result<RedisReply, RedisError> = await withUnsafeContinuation { continuation in
      issue(command, timeoutMilliseconds, continuation)
    }
    let reply = try result.get()
    if case .error(let error) = reply {
      // What else is under way on this connection may have been executed.
      if error.code == .notReady { drop(RedisError(.outcomeUnknown, "given up: " + error.message)) }
      throw error
    }
    return reply
  }

  private func issue(
    _ command: RedisCommand, _ timeoutMilliseconds: Int,
    _ continuation: UnsafeContinuation<Result<RedisReply, RedisError>, Never>
  ) {
    guard let context else {
      continuation.resume(returning: .failure(RedisError(.unavailable, "not connected")))
      return
    }
    let status = command.withBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        redisAsyncFormattedCommand(
          context,
          { context, reply, _ in
            let connection = RedisConnection.of(context!)
            let copy = reply.map { RedisReply(copying: $0.assumingMemoryBound(to: redisReply.self)) }
            IO.assumeIsolated { connection.replied(copy) }
          }, nil, text.baseAddress, text.count)
      }
    }
    guard status == REDIS_OK else {
      // The context is being freed: hiredis will not call back for this command.
      continuation.resume(returning: .failure(RedisError(.unavailable, endReason.message)))
      return
    }
    let deadline = Monotonic.now().advanced(milliseconds: timeoutMilliseconds)
    waiting.append(Waiter(deadline: deadline, continuation: continuation))
    if timer == nil { armTimer(deadline) }
  }

  /// nil: the connection ends, and the command may or may not have been executed.
  private func replied(_ reply: RedisReply?) {
    guard let waiter = waiting.popFirst() else {
      drop(RedisError(.unexpectedReply, "a reply that nobody waits for"))
      return
    }
    waiter.continuation.resume(returning: reply.map { .success($0) } ?? .failure(endReason))
  }

  /// One timer for all commands: when it fires it looks at the oldest one and waits on.
  private func armTimer(_ deadline: Monotonic) {
    timer = EventLoop.shared.at(deadline) {
      self.timer = nil
      guard let oldest = self.waiting.first else { return }
      if oldest.deadline <= Monotonic.now() {
        self.drop(RedisError(.outcomeUnknown, "Redis did not answer in time"))
      } else {
        self.armTimer(oldest.deadline)
      }
    }
  }

  // MARK: readiness

  func fileIsReady(_ events: UInt32) {
    // Either call can free the context, which sets it to nil here.
    if events & EventLoop.writable != 0, let context {
      disarmWrite()
      redisAsyncHandleWrite(context)
    }
    if events & (EventLoop.readable | EventLoop.failed) != 0, let context {
      redisAsyncHandleRead(context)
    }
  }

  private func queueFlush() {
    guard isEstablished, !isFlushQueued else { return }
    isFlushQueued = true
    EventLoop.shared.atEndOfTurn { self.flush() }
  }

  private func flush() {
    // Stays set during the write: when the socket is full, hiredis asks to write again from inside.
    guard let context else { return }
    redisAsyncHandleWrite(context)
    isFlushQueued = false
    guard let after = self.context, let output = after.pointee.c.obuf else { return }
    if vision_sds_length(output) > 0 { armWrite() }
  }

  private func armWrite() {
    guard let registration, !isArmed else { return }
    isArmed = true
    EventLoop.shared.modify(registration, events: EventLoop.readable | EventLoop.writable)
  }

  private func disarmWrite() {
    guard let registration, isArmed else { return }
    isArmed = false
    EventLoop.shared.modify(registration, events: EventLoop.readable)
  }
}
