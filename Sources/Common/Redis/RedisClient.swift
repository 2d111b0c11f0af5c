import CShims
import Dispatch
import Glibc

/// A Redis client that stays connected: it reconnects with full-jitter backoff, logs in, and lets
/// commands wait for the next connection within their own time limit. It goes on until ``close()``.
@IO
public final class RedisClient {
  /// What can be tuned.
  public struct Options: Sendable {
    /// Shown by `CLIENT LIST`.
    public var name: String
    /// Longest wait for a connection to be established.
    public var connectTimeoutMilliseconds = 2_000
    /// Longest wait for a reply, the wait for a connection included.
    public var commandTimeoutMilliseconds = 5_000
    /// The longest wait before a connection is replaced that did not stand for long.
    public var unsteadyMilliseconds = ReconnectMachine.backoffUnsteadyMilliseconds

    /// Options with the usual limits.
    public init(name: String) { self.name = name }
  }

  /// The longest wait before an attempt to reconnect, in milliseconds.
  public nonisolated static let reconnectMaxMilliseconds = ReconnectMachine.backoffMaxMilliseconds

  private let address: RedisAddress
  private let options: Options
  private var sentinel: RedisSentinel?
  private var machine: ReconnectMachine
  private var random: SeededRandom
  private var connection: RedisConnection?
  private var available = Signal()
  private var lastFailure = RedisError(.unavailable, "not connected yet")
  private let closed = Signal()
  /// Called after each change: true when a connection was established, false when it ended.
  public var onChange: (@IO (Bool) -> Void)?

  /// A client for the server at `address`. It connects when it is first used.
  public init(address: RedisAddress, options: Options) {
    self.address = address
    self.options = options
    var backoffMax = ReconnectMachine.backoffMaxMilliseconds
    if case .sentinel(let hosts, let master) = address.endpoint {
      sentinel = RedisSentinel(hosts: hosts, master: master, password: address.sentinelPassword)
      // A failover takes seconds, and a Sentinel is asked cheaply.
      backoffMax = RedisSentinel.backoffMaxMilliseconds
    }
    machine = ReconnectMachine(
      backoffMaxMilliseconds: backoffMax, backoffUnsteadyMilliseconds: options.unsteadyMilliseconds)
    random = SeededRandom(seed: UInt64.random(in: 0 ... .max))
  }

  /// How many connections were established so far: who compares two values knows whether what he sent in
  /// between went over one connection, thus to one server.
  public private(set) var connectionCount = 0

  /// Whether a connection stands.
  public var isConnected: Bool { connection != nil }

  /// Sends a command and waits for its reply.
  /// - Parameter timeoutMilliseconds: the limit for connection and reply; nil for the client's own.
  /// - Throws: `unavailable` when nothing was sent, `outcomeUnknown` when the command may or may not
  ///   have been executed, `notReady`, or the error that the server answers.
  public func send(
    _ command: RedisCommand, timeoutMilliseconds: Int? = nil
  ) async throws(RedisError) -> RedisReply {
    let limit = timeoutMilliseconds ?? options.commandTimeoutMilliseconds
    let deadline = Monotonic.now().advanced(milliseconds: limit)
    let connection = try await establishedConnection(deadline)
    let left = (deadline.nanoseconds - Monotonic.now().nanoseconds) / 1_000_000
    return try await connection.send(command, timeoutMilliseconds: max(1, left))
  }

  /// Waits for a connection, if there is none, as long as a command would.
  /// - Throws: `unavailable` when none came about in time, or `closed`.
  public func waitForConnection() async throws(RedisError) {
    _ = try await establishedConnection(
      Monotonic.now().advanced(milliseconds: options.commandTimeoutMilliseconds))
  }

  /// Sends a command of plain words.
  public func send(_ words: String...) async throws(RedisError) -> RedisReply {
    try await send(RedisCommand(words: words))
  }

  /// Ends the connection for good. Whoever waits gets `closed`.
  public func close() {
    machine.close()
    closed.fire()
    connection?.drop(RedisError(.closed, "the client was closed"))
    available.fire()
  }

  /// Drops the connection, if any; the next command makes a new one.
  public func reconnect(because reason: String) {
    connection?.drop(RedisError(.outcomeUnknown, reason))
  }

  // MARK: connecting

  private func establishedConnection(_ deadline: Monotonic) async throws(RedisError) -> RedisConnection {
    if let connection { return connection }
    while true {
      if closed.isFired { throw RedisError(.closed, "the client was closed") }
      if let connection { return connection }
      perform(machine.wanted(now: Monotonic.now()))
      let signal = available
      let timer = EventLoop.shared.at(deadline) { signal.fire() }
      await signal.wait()
      timer.cancel()
      if signal === available { available = Signal() }
      if connection == nil, deadline <= Monotonic.now() || Task.isCancelled {
        throw RedisError(.unavailable, "Redis at \(address): \(lastFailure.message)")
      }
    }
  }

  private func perform(_ action: ReconnectMachine.Action) {
    switch action {
    case .none: break
    case .connect(let at):
      _ = EventLoop.shared.at(at) {
        IO.task { @IO in await self.attempt() }
      }
    }
  }

  private func attempt() async {
    guard !closed.isFired else { return }
    let fresh = RedisConnection()
    do throws(RedisError) {
      try await establish(fresh)
    } catch {
      fresh.drop(error)
      lastFailure = error
      perform(machine.failed(now: Monotonic.now(), uniform: random.uniform()))
      return
    }
    guard !closed.isFired else {
      fresh.drop(RedisError(.closed, "the client was closed"))
      return
    }
    guard fresh.isOpen else {
      // It ended between the last reply and now, when nobody listened for its end yet.
      perform(machine.failed(now: Monotonic.now(), uniform: random.uniform()))
      return
    }
    // The connection forgets this when it ends.
    fresh.onEnd = { reason in
      guard self.connection === fresh else { return }
      self.connection = nil
      self.lastFailure = reason
      self.onChange?(false)
      self.perform(self.machine.ended(now: Monotonic.now(), uniform: self.random.uniform()))
    }
    machine.succeeded(now: Monotonic.now())
    connection = fresh
    connectionCount += 1
    onChange?(true)
    let signal = available
    available = Signal()
    signal.fire()
  }

  private func establish(_ fresh: RedisConnection) async throws(RedisError) {
    let limit = options.connectTimeoutMilliseconds
    try await fresh.connect(to: try await numericEndpoint(), timeoutMilliseconds: limit)
    try await logIn(fresh, limit)
    guard sentinel != nil else { return }
    // The server that a Sentinel names can be on its way down, or only on its way up.
    let role = try await fresh.send(RedisCommand("ROLE"), timeoutMilliseconds: limit)
    guard role[0]?.text == "master" else {
      sentinel?.distrust()
      throw RedisError(.cannotConnect, "the server that Sentinel names is no master")
    }
  }

  /// Where to connect now: names are resolved, and Sentinel is asked, anew each time.
  private func numericEndpoint() async throws(RedisError) -> RedisAddress.Endpoint {
    switch address.endpoint {
    case .unix: return address.endpoint
    case .tcp(let host, let port): return .tcp(host: try await resolve(host), port: port)
    case .sentinel(let hosts, let master):
      var asked = sentinel ?? RedisSentinel(hosts: hosts, master: master, password: address.sentinelPassword)
      let found = try await asked.find()
      sentinel = asked
      return .tcp(host: try await resolve(found.host), port: found.port)
    }
  }

  private func logIn(_ fresh: RedisConnection, _ limit: Int) async throws(RedisError) {
    if let password = address.password {
      var login = RedisCommand("AUTH")
      if let user = address.user { login.add(user) }
      login.add(password)
      do throws(RedisError) {
        _ = try await fresh.send(login, timeoutMilliseconds: limit)
      } catch {
        throw RedisError(.cannotConnect, "log-in refused: \(error.message)")
      }
    }
    if address.database != 0 {
      _ = try await fresh.send(
        RedisCommand("SELECT", String(address.database)), timeoutMilliseconds: limit)
    }
    do throws(RedisError) {
      _ = try await fresh.send(
        RedisCommand("CLIENT", "SETNAME", options.name), timeoutMilliseconds: limit)
    } catch {
      // A user without the right to name connections can work all the same.
      guard error.code == .notPermitted || error.code == .server else { throw error }
    }
  }
}

/// Turns a host name into a numeric address, off the loop: the system's resolver blocks.
func resolve(_ host: String) async throws(RedisError) -> String {
  let result: Result<String, RedisError> = await withCheckedContinuation { continuation in
    DispatchQueue.global().async { continuation.resume(returning: resolveBlocking(host)) }
  }
  return try result.get()
}

private func resolveBlocking(_ host: String) -> Result<String, RedisError> {
  var hints = addrinfo()
  hints.ai_socktype = vision_stream_socket
  var list: UnsafeMutablePointer<addrinfo>?
  let code = getaddrinfo(host, nil, &hints, &list)
  guard code == 0, let first = list else {
    return .failure(RedisError(.cannotConnect, "\(host): \(String(cString: gai_strerror(code)))"))
  }
  defer { freeaddrinfo(list) }
  var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
  getnameinfo(
    first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
  return .success(text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
}
