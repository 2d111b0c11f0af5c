import Common
import Foundation

/// A checking server as rayonlabs/vision-workers has it (`validator_orchestrator`): one check at a time,
/// Busy with the running check's id and status 200 for everyone else, and verdicts that can be read once.
@IO final class CheckingServer {
  /// Most checks that are remembered; the original forgets by age instead.
  static let checksMax = 10_000

  private enum Check {
    case processing
    /// The reply's text after the id: `,"result":…}`.
    case finished(String, CheckerFault?)
  }

  private let settings: CheckerSettings
  private var server: HTTPServer?
  private var checks: [String: Check] = [:]
  private var order: [String] = []
  private var running: String?
  private var loadedModel: String?
  private var posted = 0
  private var identifiers: SeededRandom
  private(set) var counters: [String: Int] = [:]
  /// Fires when the next check ends; tests wait for it.
  private(set) var checkEnded = Signal()

  /// The port that the server is bound to.
  var port: Int { server?.port ?? 0 }

  /// Binds to `port`; 0 lets the kernel choose. Throws ``LoopbackPort/Failure``.
  init(_ settings: CheckerSettings, port: Int) throws {
    self.settings = settings
    identifiers = SeededRandom(seed: settings.seed, "task ids")
    server = try HTTPServer(port: port) { [unowned self] request, connection in
      self.handle(request, on: connection)
    }
  }

  /// Begins to serve. Throws ``LoopbackPort/Failure``.
  func start() throws { try server?.start() }

  /// Closes everything.
  func stop() {
    server?.stop()
    server = nil
  }

  private func handle(_ request: HTTPRequest, on connection: HTTPConnection) {
    switch (request.method, request.path) {
    case ("GET", "/"): reply(200, "{\"message\":\"Hello World\"}", on: connection)
    case ("GET", "/version"): reply(200, "{\"version\":\"1.1.8.1\"}", on: connection)
    case ("GET", "/stats"):
      let stats = JSON.object(counters.mapValues(JSON.integer))
      reply(200, stats.canonicalText(), on: connection)
    case ("GET", "/all-task-status"): reply(200, allStatuses(), on: connection)
    case ("POST", "/check-result"): submit(request.body, on: connection)
    case ("GET", let path) where path.hasPrefix("/check-task/"):
      read(String(path.dropFirst("/check-task/".count)), on: connection)
    default: reply(404, "{\"detail\":\"Not Found\"}", on: connection)
    }
  }

  private func reply(_ status: Int, _ text: String, on connection: HTTPConnection) {
    connection.respond(status: status, body: Array(text.utf8))
  }

  private func count(_ name: String) { counters[name, default: 0] += 1 }

  private func allStatuses() -> String {
    let statuses = checks.mapValues { check in
      switch check {
      case .processing: return JSON.string("Processing")
      case .finished(let text, _): return .string(text.contains("\"Failed\"}") ? "Failed" : "Success")
      }
    }
    return JSON.object(["tasks": .object(statuses)]).canonicalText()
  }

  // MARK: submitting

  private func submit(_ body: [UInt8], on connection: HTTPConnection) {
    count("posted")
    let request: CheckRequest
    do throws(Unprocessable) {
      request = try CheckRequest(body: body)
    } catch {
      count("unprocessable")
      return reply(422, error.body.canonicalText(), on: connection)
    }
    if let running {
      count("busy")
      return reply(200, "{\"task_id\":\"\(running)\",\"status\":\"Busy\"}", on: connection)
    }
    posted += 1
    let fault = settings.fault(ofCheck: posted)
    if let fault { count("fault_" + fault.rawValue) }
    switch fault {
    case .unprocessable:
      let refusal = Unprocessable(detail: [.object(["type": .string("missing"), "msg": .string("refused")])])
      return reply(422, refusal.body.canonicalText(), on: connection)
    case .busyForeign:
      let stranger = newIdentifier()
      remember(stranger, .finished(CheckingServer.success("{\"999999\":0.0}"), nil))
      return reply(200, "{\"task_id\":\"\(stranger)\",\"status\":\"Busy\"}", on: connection)
    default: begin(request, fault: fault, on: connection)
    }
  }

  private func begin(_ request: CheckRequest, fault: CheckerFault?, on connection: HTTPConnection) {
    let identifier = newIdentifier()
    remember(identifier, .processing)
    running = identifier
    count("accepted")
    let switchesModel = request.modelConfig != nil && loadedModel != request.model
    if switchesModel {
      loadedModel = request.model
      count("model_switches")
    }
    let milliseconds = settings.milliseconds(fault: fault, switchesModel: switchesModel)
    let answer = "{\"task_id\":\"\(identifier)\",\"status\":\"Processing\"}"
    if fault == .slowPost {
      _ = EventLoop.shared.after(milliseconds: settings.slowMilliseconds) { [weak self] in
        self?.reply(200, answer, on: connection)
      }
    } else {
      reply(200, answer, on: connection)
    }
    _ = EventLoop.shared.after(milliseconds: milliseconds) { [weak self] in
      self?.finish(identifier, request, fault)
    }
  }

  private func finish(_ identifier: String, _ request: CheckRequest, _ fault: CheckerFault?) {
    running = nil
    count("finished")
    if fault == .forgets {
      checks[identifier] = nil
    } else {
      let text = CheckingServer.text(Judge.judge(request), key: request.nodeKey, fault: fault)
      checks[identifier] = .finished(text, fault)
    }
    let ended = checkEnded
    checkEnded = Signal()
    ended.fire()
  }

  private func remember(_ identifier: String, _ check: Check) {
    checks[identifier] = check
    order.append(identifier)
    while order.count > CheckingServer.checksMax { checks[order.removeFirst()] = nil }
  }

  /// A UUID of version 4, from the seed.
  private func newIdentifier() -> String {
    let high = identifiers.next() & 0xffff_ffff_ffff_0fff | 0x4000
    let low = identifiers.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    let digits = [high, low].map { value in
      String(repeating: "0", count: 16 - String(value, radix: 16).count) + String(value, radix: 16)
    }
    let text = Array(digits.joined())
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(text[$0]) }.joined(separator: "-")
  }

  // MARK: reading

  private func read(_ identifier: String, on connection: HTTPConnection) {
    switch checks[identifier] {
    case nil:
      count("not_found")
      reply(404, "{\"detail\":\"Task not found (or Task result got expired)\"}", on: connection)
    case .processing:
      let text = "{\"task_id\":\"\(identifier)\",\"result\":null,\"status\":\"Processing\"}"
      reply(200, text, on: connection)
    case .finished(let text, let fault):
      checks[identifier] = nil
      if fault == .losesReply {
        count("lost_replies")
        return connection.abandon()
      }
      count("delivered")
      reply(200, "{\"task_id\":\"\(identifier)\"" + text, on: connection)
    }
  }

  private static func text(_ judgement: Judgement, key: String, fault: CheckerFault?) -> String {
    switch fault {
    case .failsWithoutError: return failure(traceback: "null")
    case .emptyScores: return success("{}")
    case .nullScores: return success("null")
    case .foreignNode: return success("{\"999999\":1.0}")
    case .notANumber: return success("{\"\(key)\":NaN}")
    default: break
    }
    switch judgement {
    case .score(let score): return success("{\"\(key)\":\(score)}")
    case .unjudged: return success("{}")
    case .failed(let reason):
      let traceback = JSON.string("Traceback (most recent call last):\n" + reason)
      return failure(traceback: traceback.canonicalText())
    }
  }

  private static func success(_ scores: String) -> String {
    result(scores, traceback: "null", status: "Success")
  }

  private static func failure(traceback: String) -> String {
    result("null", traceback: traceback, status: "Failed")
  }

  private static func result(_ scores: String, traceback: String, status: String) -> String {
    ",\"result\":{\"node_scores\":\(scores),\"timestamp\":\"\(timestamp())\",\"error_message\":null,"
      + "\"traceback\":\(traceback)},\"status\":\"\(status)\"}"
  }

  /// Now, as Python's `datetime.isoformat` writes it.
  private static func timestamp() -> String {
    let seconds = Double(WallClock.nowMilliseconds()) / 1000
    let text = Date(timeIntervalSince1970: seconds).formatted(
      .iso8601.year().month().day().time(includingFractionalSeconds: true))
    return text + "000"
  }
}
