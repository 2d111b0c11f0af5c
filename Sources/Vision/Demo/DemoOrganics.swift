import Common

/// A trickle of users' requests, and what became of them.
@IO
final class DemoOrganics {
  private let queue: JobQueue
  private let tasks: [TaskConfig]
  private var random = SeededRandom(seed: 1)
  /// What is known of them.
  private(set) var users = DemoUsers()

  /// Most requests whose end is still awaited.
  static let waitingMax = 1000
  /// How long a request may take, ms.
  static let allowedMilliseconds = 30_000
  /// How long after the last request its end is waited for, ms: its time, and that of a lease beside it.
  static let patienceMilliseconds = allowedMilliseconds + 15_000

  init(queue: JobQueue, tasks: [TaskConfig]) {
    self.queue = queue
    self.tasks = tasks.filter { $0.kind == .text && $0.weight > 0 && $0.shape == .chat }
  }

  /// Sends requests until `ending` fires, then waits for the last answers.
  func run(perSecond: Double, until ending: Signal) async {
    guard perSecond > 0, !tasks.isEmpty else { return }
    while !ending.isFired, !Task.isCancelled {
      await submitOne()
      await collect()
      await EventLoop.shared.sleep(milliseconds: Int(1000 / perSecond))
    }
    let limit = Monotonic.now().advanced(milliseconds: Self.patienceMilliseconds)
    while !users.open.isEmpty, !Task.isCancelled, Monotonic.now() < limit {
      await collect()
      await EventLoop.shared.sleep(milliseconds: 100)
    }
  }

  private func submitOne() async {
    guard users.open.count < DemoOrganics.waitingMax else { return }
    let task = tasks[random.below(tasks.count)]
    let id = "demo-\(users.submitted)"
    let payload =
      #"{"messages":[{"role":"user","content":"Tell me about number \#(users.submitted)."}],"#
      + #""max_tokens":60}"#
    let result = try? await queue.submit(
      id: id, task: task.name, payload: Array(payload.utf8), allowedMilliseconds: Self.allowedMilliseconds)
    switch result {
    // The answer to an earlier attempt was lost.
    case .created, .duplicate: users.submit(id)
    default: return
    }
  }

  private func collect() async {
    for id in users.open.sorted() {
      let key = queue.keys.reply(id)
      let last = try? await queue.redis.send("XREVRANGE", key, "+", "-", "COUNT", "1")
      guard last?[0]?[1]?.fields?["end"] != nil else { continue }
      guard let reply = try? await queue.redis.send("XRANGE", key, "-", "+") else { continue }
      users.note(id, (reply.elements ?? []).compactMap { $0[1]?.fields })
    }
  }
}
