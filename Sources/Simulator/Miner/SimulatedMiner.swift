import Common
import Foundation

/// One miner on one port.
@IO final class SimulatedMiner {
  /// What a miner counts, served at `GET /stats`.
  struct Counters {
    var requests = 0
    /// Answers that were sent as planned, faults included.
    var answered = 0
    var rateLimited = 0
    var capacityRequests = 0
    /// Requests of unknown tasks or paths, or with a body that is no JSON.
    var invalid = 0
    /// Units of volume of all admitted requests.
    var volume = 0.0
  }

  let behaviour: MinerBehaviour
  private let tasks: [TaskConfig]
  private let wheel: TickWheel
  private var server: HTTPServer?
  private var buckets: [String: CapacityBucket] = [:]
  private var inFlight: [String: Int] = [:]
  private(set) var counters = Counters()

  /// The port that the miner is bound to.
  var port: Int { server?.port ?? 0 }

  /// Binds a miner to `port`; 0 lets the kernel choose. Throws ``LoopbackPort/Failure``.
  init(_ behaviour: MinerBehaviour, tasks: [TaskConfig], port: Int, wheel: TickWheel) throws {
    self.behaviour = behaviour
    self.tasks = tasks.filter { behaviour.hardware[$0.name] != nil }
    self.wheel = wheel
    server = try HTTPServer(port: port) { [unowned self] request, connection in
      self.handle(request, on: connection)
    }
  }

  /// Begins to serve, unless it is a miner that refuses connections.
  func start() throws {
    let now = Monotonic.now().nanoseconds / 1_000_000
    for task in tasks {
      let rate = behaviour.hardware[task.name]?.volumePerSecond ?? 0
      buckets[task.name] = CapacityBucket(volumePerSecond: rate, nowMilliseconds: now)
    }
    if behaviour.kind != .refuses { try server?.start() }
  }

  /// Closes the port and all connections.
  func stop() {
    server?.stop()
    server = nil
  }

  private func handle(_ request: HTTPRequest, on connection: HTTPConnection) {
    switch (request.method, request.path) {
    case ("GET", "/stats"): reply(stats(), on: connection)
    case ("POST", "/capacity"):
      counters.capacityRequests += 1
      reply(claims(asked: try? JSON(parsing: Data(request.body))), on: connection)
    case ("POST", _):
      counters.requests += 1
      generate(request, on: connection)
    default: send(MinerAnswer.error(404, "Not Found"), on: connection) { _ in }
    }
  }

  private func reply(_ value: JSON, on connection: HTTPConnection) {
    connection.respond(status: 200, body: Array(value.canonicalText().utf8))
  }

  // MARK: capacity

  /// The claims for the tasks that were asked about; for all tasks when none was named.
  private func claims(asked: JSON?) -> JSON {
    var names: Set<String> = []
    if case .array(let configs)? = asked?["task_configs"] {
      names = Set(configs.compactMap { $0["task"]?.text ?? $0["name"]?.text })
    }
    var answer: [String: JSON] = [:]
    for task in tasks where names.isEmpty || names.contains(task.name) {
      answer[task.name] = .number(behaviour.claim(task: task.name))
    }
    if let type = behaviour.minerType { answer["miner_type"] = .string(type) }
    return .object(answer)
  }

  // MARK: answers

  private func generate(_ request: HTTPRequest, on connection: HTTPConnection) {
    guard let payload = try? JSON(parsing: Data(request.body)) else {
      counters.invalid += 1
      return send(MinerAnswer.error(400, "the body is no JSON"), on: connection) { _ in }
    }
    guard let task = task(path: request.path, model: payload["model"]?.text),
      let hardware = behaviour.hardware[task.name]
    else {
      counters.invalid += 1
      return send(MinerAnswer.error(404, "Not Found"), on: connection) { _ in }
    }
    guard admit(task, hardware, payload) else {
      counters.rateLimited += 1
      return send(MinerAnswer.rateLimited, on: connection) { _ in }
    }
    let answer = MinerAnswer.make(
      for: behaviour, task: task, hardware: hardware, body: request.body, payload: payload)
    inFlight[task.name, default: 0] += 1
    send(answer, on: connection) { [weak self] completed in
      self?.inFlight[task.name, default: 1] -= 1
      if completed { self?.counters.answered += 1 }
    }
  }

  private func task(path: String, model: String?) -> TaskConfig? {
    let candidates = tasks.filter { $0.path == path }
    return candidates.first { $0.name == model } ?? candidates.first { $0.model == model }
      ?? (model == nil ? candidates.first : nil)
  }

  private func admit(_ task: TaskConfig, _ hardware: TaskHardware, _ payload: JSON) -> Bool {
    let running = inFlight[task.name, default: 0]
    let inFlightMax = behaviour.kind == .rateLimitsWhenBusy ? 1 : hardware.inFlightMax
    guard running < inFlightMax else { return false }
    let volume = MinerAnswer.volume(of: task, payload: payload)
    let now = Monotonic.now().nanoseconds / 1_000_000
    guard buckets[task.name]?.admit(volume: volume, nowMilliseconds: now) == true else { return false }
    counters.volume += volume
    return true
  }

  private func send(
    _ answer: MinerAnswer, on connection: HTTPConnection,
    onEnd: @escaping @IO (_ completed: Bool) -> Void
  ) {
    switch answer {
    case .whole(let whole): _ = DelayedAnswer(whole, on: connection, wheel: wheel, onEnd: onEnd)
    case .stream(let plan): _ = TextStream(plan, on: connection, wheel: wheel, onEnd: onEnd)
    }
  }

  // MARK: statistics

  private func stats() -> JSON {
    .object([
      "hotkey": .string(behaviour.hotkey), "requests": .integer(counters.requests),
      "answered": .integer(counters.answered), "rate_limited": .integer(counters.rateLimited),
      "capacity_requests": .integer(counters.capacityRequests), "invalid": .integer(counters.invalid),
      "volume": .number(counters.volume), "open": .integer(inFlight.values.reduce(0, +)),
      "disconnects": .integer(server?.disconnects ?? 0),
      "connections": .integer(server?.connectionCount ?? 0),
      "bytes_sent": .integer(server?.bytesSent ?? 0),
    ])
  }
}
