import Common

/// Users who ask at a steady rate and read every answer to its end, on connections of their own.
@IO
final class Users {
  private struct Reading {
    var cursor = "0"
    /// The number that the next token must have.
    var next = 0
    var isWhole = true
  }

  private static var made = 0
  private let stage: Stage
  private let queue: JobQueue
  private let reader: RedisClient
  private let name: String
  private let number: Int
  private let stopped = Signal()
  private var asked = 0
  private var open: [String: Reading] = [:]
  private var tasks: [Task<Void, Never>] = []
  private var inFlight = 0
  private var isOver = false
  /// What else to say in a request, as JSON members.
  var extra = ""
  var allowedMilliseconds = 0
  /// Whether a request counts as accepted only when a replica has it.
  var isConfirmed = false
  /// Requests that were taken and that no replica confirmed.
  private(set) var unconfirmed = 0
  /// Requests whose submission ran into an error that is no refusal.
  private(set) var errors: [String] = []

  init(_ stage: Stage, address: RedisAddress) {
    self.stage = stage
    Users.made += 1
    number = Users.made
    name = "u\(number)"
    queue = JobQueue(
      redis: RedisClient(address: address, options: .init(name: "chaos-" + name)), keys: stage.queue.keys)
    reader = RedisClient(address: address, options: .init(name: "chaos-\(name)-reader"))
  }

  /// Asks `perSecond` times a second until ``stop()``.
  func begin(perSecond: Double) {
    tasks.append(IO.task { @IO in await self.ask(perSecond: perSecond) })
    beginReading()
  }

  func beginReading() { tasks.append(IO.task { @IO in await self.read() }) }

  private func ask(perSecond: Double) async {
    let start = Monotonic.now()
    while !stopped.isFired {
      let due = Int(Double(Monotonic.now().milliseconds(since: start)) * perSecond / 1000)
      while asked < due, !stopped.isFired {
        let id = nextID()
        tasks.append(IO.task { @IO in await self.submit(id) })
      }
      await EventLoop.shared.sleep(milliseconds: max(1, Int(500 / perSecond)), orUntil: stopped)
    }
  }

  private func nextID() -> (id: String, seed: Int) {
    asked += 1
    // Beyond what tests draw their seeds from.
    return ("\(name)-\(asked)", 1_000_000_000 + number * 1_000_000 + asked)
  }

  /// Lets a proxy on the way see which digest the script of a request has; this process may know it already.
  func showScript() async throws {
    let source = Script.submit.source(clock: .redis)
    _ = try await queue.redis.send(RedisCommand("SCRIPT", "LOAD", source))
  }

  /// Asks once. Returns the id.
  @discardableResult
  func askOnce() async -> String {
    let next = nextID()
    await submit(next)
    return next.id
  }

  /// Asks many times at once. Returns the ids.
  func askMany(_ count: Int) async -> [String] {
    let calls = (0..<count).map { _ in IO.task { @IO in await self.askOnce() } }
    var ids: [String] = []
    for call in calls { ids.append(await call.value) }
    return ids
  }

  private func submit(_ request: (id: String, seed: Int)) async {
    stage.evidence.note("user asked \(request.id) \(request.seed)")
    let payload =
      #"{"messages":[{"role":"user","content":"Tell me about lighthouses."}],"seed":\#(request.seed)\#(extra)}"#
    let started = Monotonic.now()
    inFlight += 1
    defer { inFlight -= 1 }
    do throws(RedisError) {
      let result = try await queue.submit(
        id: request.id, task: Stage.task, payload: Array(payload.utf8),
        allowedMilliseconds: allowedMilliseconds)
      switch result {
      case .created, .duplicate:
        guard try await isKept() else {
          unconfirmed += 1
          return stage.evidence.note("user failed \(request.id) unconfirmed")
        }
        stage.evidence.note("user accepted \(request.id)")
        open[request.id] = Reading()
      case .refused(let refusal):
        let took = Monotonic.now().milliseconds(since: started)
        stage.evidence.note("user refused \(request.id) \(refusal.reason) \(took)")
      }
    } catch {
      errors.append(error.description)
      stage.evidence.note("user failed \(request.id) \(error.code.rawValue)")
    }
  }

  /// Whether what was just submitted outlives the master, as far as that was asked for.
  private func isKept() async throws(RedisError) -> Bool {
    guard isConfirmed else { return true }
    let count = try await queue.waitForReplicas(
      1, since: queue.redis.connectionCount, limitMilliseconds: 1_000)
    return (count ?? 0) >= 1
  }

  // MARK: reading

  private func read() async {
    while !isOver {
      guard !open.isEmpty else {
        // What waits for a Redis that is away is not accepted yet, and will be read too.
        if stopped.isFired, inFlight == 0 { return }
        // Not until they stop: after that the loop would go round without a pause, and nothing else would run.
        await EventLoop.shared.sleep(milliseconds: 20)
        continue
      }
      // More than one call should hold get their turn by chance.
      let ids = open.count > 400 ? Array(open.keys.shuffled().prefix(400)) : Array(open.keys)
      var command = RedisCommand("XREAD", "BLOCK", "200", "STREAMS")
      for id in ids { command.add(queue.keys.reply(id)) }
      for id in ids { command.add(open[id]?.cursor ?? "0") }
      do throws(RedisError) {
        take(try await reader.send(command), prefix: queue.keys.reply("").count)
      } catch {
        await EventLoop.shared.sleep(milliseconds: 20)
      }
    }
  }

  private func take(_ reply: RedisReply, prefix: Int) {
    for stream in reply.elements ?? [] {
      let id = String((stream[0]?.text ?? "").dropFirst(prefix))
      guard var reading = open[id] else { continue }
      var end: String?
      for entry in stream[1]?.elements ?? [] {
        reading.cursor = entry[0]?.text ?? reading.cursor
        if end != nil { stage.evidence.note("user after-end \(id)") }
        let fields = entry[1]?.fields ?? [:]
        for number in Users.tokens(fields["data"] ?? "") {
          if number != reading.next { reading.isWhole = false }
          reading.next = number + 1
        }
        end = fields["end"] ?? end
      }
      open[id] = reading
      guard let end else { continue }
      open[id] = nil
      stage.evidence.note("user ended \(id) \(end) \(reading.next) \(reading.isWhole ? "whole" : "torn")")
    }
  }

  /// The numbers of the tokens in a piece of a reply.
  private static func tokens(_ data: String) -> [Int] {
    data.matches(of: /"content":"(\d{5}) "/).compactMap { Int($0.1) }
  }

  // MARK: ending

  /// Asks nothing more; what was asked is read on.
  func stop() { stopped.fire() }

  /// Waits until every reply has ended, or so long.
  func waitForReplies(seconds: Int) async {
    let limit = Monotonic.now().advanced(milliseconds: seconds * 1000)
    while !open.isEmpty || inFlight > 0, Monotonic.now() < limit, !Task.isCancelled {
      await EventLoop.shared.sleep(milliseconds: 20)
    }
    await end()
  }

  /// Ends all connections, and waits for all that was under way on them.
  func end() async {
    close()
    for task in tasks { await task.value }
    // They hold these users.
    tasks = []
  }

  /// Ends all connections; whoever waits on them gets an error.
  func close() {
    stopped.fire()
    isOver = true
    reader.close()
    queue.redis.close()
  }
}

extension Stage {
  /// Users on the untouched socket, or through a proxy.
  func users(through url: String? = nil) throws -> Users {
    let made = Users(self, address: try RedisAddress(url: url ?? redisURL))
    users.append(made)
    return made
  }
}
