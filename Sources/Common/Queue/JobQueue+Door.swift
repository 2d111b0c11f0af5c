/// Why a request was not taken.
public struct Refusal: Sendable, Equatable, CustomStringConvertible {
  /// `bad_argument`, `bad_id`, `bad_account`, `unknown_task`, `too_large`, `bad_payload`, `full` or `paused`.
  public var reason: String
  /// The argument or the payload's field that is wrong; empty where the reason says it all.
  public var field = ""
  /// What is wrong with it.
  public var problem = ""

  /// Whether the same request may be taken later.
  public var isPassing: Bool { reason == "full" || reason == "paused" }

  /// One line.
  public var description: String {
    let detail = [field, problem].filter { !$0.isEmpty }.joined(separator: " ")
    return detail.isEmpty ? reason : "\(reason): \(detail)"
  }

  /// Names a refusal.
  public init(reason: String, field: String = "", problem: String = "") {
    self.reason = reason
    self.field = field
    self.problem = problem
  }
}

/// What became of a submitted job.
public enum SubmitResult: Sendable, Equatable {
  /// It waits.
  case created
  /// The id is known; the state of the known job.
  case duplicate(state: String)
  /// It was not taken.
  case refused(Refusal)

  /// The same without a field.
  public static func refused(reason: String) -> SubmitResult { .refused(Refusal(reason: reason)) }
}

/// What the door takes at most.
public struct DoorLimits: Sendable, Equatable {
  /// Requests that may wait.
  public var waitingMax: Int
  /// Bytes of one payload.
  public var payloadBytesMax: Int

  /// What holds where nothing was published.
  public static let standard = DoorLimits(waitingMax: 10_000, payloadBytesMax: 8 << 20)

  /// Names two limits.
  public init(waitingMax: Int, payloadBytesMax: Int) {
    self.waitingMax = waitingMax
    self.payloadBytesMax = payloadBytesMax
  }
}

/// What users can ask of the queue. Gateways call the same scripts as functions (``FunctionLibrary``).
extension JobQueue {
  /// Puts a user's request into the organic queue.
  /// - Parameters:
  ///   - allowedMilliseconds: time until the answer must be complete; 0 for no limit.
  ///   - streams: whether the answer comes as server-sent events, or as one JSON at its end.
  public func submit(
    id: String, task: String, payload: [UInt8], account: String = "", allowedMilliseconds: Int = 0,
    streams: Bool = true
  ) async throws(RedisError) -> SubmitResult {
    let reply = try await run(.submit) { command in
      command.add(id)
      command.add(task)
      command.add(payload)
      command.add("account")
      command.add(account)
      command.add("deadline_ms")
      command.add(allowedMilliseconds)
      command.add("stream")
      command.add(streams ? 1 : 0)
    }
    let words = (reply.elements ?? []).map { $0.text ?? "" }
    switch (words.first, words.count) {
    case ("created", 2): return .created
    case ("duplicate", 3): return .duplicate(state: words[1])
    case ("refused", 4): return .refused(Refusal(reason: words[1], field: words[2], problem: words[3]))
    default: throw unexpected(.submit, reply)
    }
  }

  /// Waits until `wanted` replicas have what ``submit(id:task:payload:account:allowedMilliseconds:streams:)``
  /// wrote. Returns how many have it, or nil when the connection was replaced meanwhile: another server may
  /// answer now, which need not have the request, so submit again.
  /// - Parameters:
  ///   - submitted: the client's `connectionCount` after the submit.
  ///   - limitMilliseconds: the longest wait.
  public func waitForReplicas(
    _ wanted: Int, since submitted: Int, limitMilliseconds: Int
  ) async throws(RedisError) -> Int? {
    guard redis.connectionCount == submitted else { return nil }
    do throws(RedisError) {
      let count = try await redis.send(
        RedisCommand("WAIT", String(wanted), String(limitMilliseconds)),
        timeoutMilliseconds: limitMilliseconds + 5_000
      ).int
      return redis.connectionCount == submitted ? count : nil
    } catch {
      guard error.isTransient else { throw error }
      return nil
    }
  }

  /// Ends an organic job at the user's wish. Returns its state, or "unknown".
  public func cancel(id: String) async throws(RedisError) -> String {
    let reply = try await run(.cancel) { $0.add(id) }
    guard let state = reply.elements?.first?.text else { throw unexpected(.cancel, reply) }
    return state
  }

  /// Where an organic job stands: its state, and what the header of `status.lua` lists; nil when it is unknown.
  public func status(id: String) async throws(RedisError) -> (state: String, fields: [String: String])? {
    let reply = try await run(.status) { $0.add(id) }
    let words = (reply.elements ?? []).map { $0.text ?? "" }
    if words == ["unknown"] { return nil }
    guard let state = words.first, words.count % 2 == 1 else { throw unexpected(.status, reply) }
    var fields: [String: String] = [:]
    for index in stride(from: 1, to: words.count, by: 2) { fields[words[index]] = words[index + 1] }
    return (state, fields)
  }

  /// Publishes what the door takes at most; it holds from the next request on.
  public func publish(_ limits: DoorLimits) async throws(RedisError) {
    _ = try await redis.send(
      "HSET", keys.fixed(.limits), "waiting_max", String(limits.waitingMax), "payload_bytes_max",
      String(limits.payloadBytesMax))
  }
}
