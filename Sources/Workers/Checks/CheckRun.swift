import Common

/// One check at one server: performs what the machine decides. It ends with the machine's ending, or early
/// when it is stopped; then the check is still to be handed back.
@IO
final class CheckRun {
  /// What a run works with.
  struct Parts {
    let queue: JobQueue
    let client: HTTPClient
    let limits: CheckMachine.Limits
    let timeoutMilliseconds: Int
  }

  /// Most bytes of a server's answer; a traceback is the longest.
  static let answerBytesMax = 1 << 20
  /// The longest wait for the answer to a question, ms; a post may take longer.
  static let pollTimeoutMilliseconds = 30_000
  /// The longest wait for a connection, ms.
  static let connectMilliseconds = 5_000

  private let parts: Parts
  private let server: CheckServer
  private let grant: CheckGrant
  private let body: [UInt8]
  private let nodeKey: String
  private var machine: CheckMachine
  private var remoteID: String?
  /// No pause and no new request any more.
  private let stopped = Signal()
  /// No request any more, not even one that is on its way.
  private let interrupted = Signal()

  init(parts: Parts, server: CheckServer, grant: CheckGrant, body: [UInt8], nodeKey: String) {
    self.parts = parts
    self.server = server
    self.grant = grant
    self.body = body
    self.nodeKey = nodeKey
    machine = CheckMachine(limits: parts.limits, tries: grant.tries)
    remoteID = server.remoteID(in: grant.remoteID)
  }

  /// Ends when the request that is on its way was answered, or its time is over: a name that is not heard
  /// means a check that is posted again, a verdict that is not heard one that is done again. Whoever cannot
  /// wait that long calls ``interrupt()``.
  func stop() { stopped.fire() }

  /// Ends at once.
  func interrupt() {
    stopped.fire()
    interrupted.fire()
  }

  /// Runs the check. nil when it was stopped first.
  func run() async -> CheckMachine.Ending? {
    var step = machine.begin(isKnown: remoteID != nil)
    while true {
      switch step {
      case .end(let ending): return ending
      case .post:
        guard !stopped.isFired, let answer = await post() else { return nil }
        step = machine.posted(answer)
      case .note(let remoteID, let tries):
        self.remoteID = remoteID
        guard await note(remoteID, tries) else { return nil }
        step = machine.noted()
      case .poll(let milliseconds):
        if milliseconds > 0 { await Pause.wait(milliseconds: milliseconds, orUntil: stopped) }
        guard !stopped.isFired, let answer = await poll() else { return nil }
        step = machine.polled(answer)
      }
    }
  }

  private func note(_ remoteID: String, _ tries: Int) async -> Bool {
    await CheckRun.insist(until: interrupted) { [self] () async throws(RedisError) -> Bool in
      try await parts.queue.noteCheck(
        id: grant.id, token: grant.token, remoteID: server.note(remoteID), tries: tries)
    } ?? false
  }

  /// Repeats a call while Redis is away. nil when `signal` fires first.
  static func insist<Value>(
    until signal: Signal, _ call: () async throws(RedisError) -> Value
  ) async -> Value? {
    while !signal.isFired {
      do throws(RedisError) {
        return try await call()
      } catch {
        Log.shared.warning("check cannot be written down", ["error": LoggedError(error)])
        guard error.code != .closed else { return nil }
        await Pause.wait(milliseconds: 200, orUntil: signal)
      }
    }
    return nil
  }

  // MARK: requests

  private func post() async -> PostAnswer? {
    let request = HTTPRequest(
      method: .post, url: server.base + "/check-result",
      headers: [("Content-Type", "application/json"), ("Accept", "application/json")], body: body)
    switch await fetch(request, timeoutMilliseconds: parts.timeoutMilliseconds) {
    case .success(let response)?: return PostAnswer(status: response.status, body: response.body)
    case .failure(let failure)?: return PostAnswer(failure)
    case nil: return nil
    }
  }

  private func poll() async -> PollAnswer? {
    guard let remoteID else { preconditionFailure("a check without a name cannot be asked for") }
    let request = HTTPRequest(
      method: .get, url: server.base + "/check-task/" + remoteID, headers: [("Accept", "application/json")])
    let timeout = min(parts.timeoutMilliseconds, CheckRun.pollTimeoutMilliseconds)
    switch await fetch(request, timeoutMilliseconds: timeout) {
    case .success(let response)?:
      return PollAnswer(
        status: response.status, body: response.body, remoteID: remoteID, nodeKey: nodeKey)
    case .failure(let failure)?: return PollAnswer(failure)
    case nil: return nil
    }
  }

  /// Sends a request. nil when it was interrupted.
  private func fetch(
    _ request: HTTPRequest, timeoutMilliseconds: Int
  ) async -> Result<HTTPResponse, HTTPFailure>? {
    let timeouts = HTTPTimeouts(
      connectMilliseconds: min(timeoutMilliseconds, CheckRun.connectMilliseconds),
      firstContentMilliseconds: timeoutMilliseconds, stallMilliseconds: timeoutMilliseconds,
      totalMilliseconds: timeoutMilliseconds)
    let task = IO.task { @IO [parts] () -> Result<HTTPResponse, HTTPFailure> in
      do throws(HTTPFailure) {
        return .success(
          try await parts.client.fetch(
            request, timeouts: timeouts, limits: HTTPLimits(responseBytesMax: CheckRun.answerBytesMax)))
      } catch {
        return .failure(error)
      }
    }
    let watch = interrupted.onFire { task.cancel() }
    let result = await task.value
    interrupted.forget(watch)
    return interrupted.isFired ? nil : result
  }
}
