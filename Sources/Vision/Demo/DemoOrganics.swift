import Common

/// A trickle of users' requests, and what became of them.
@IO
final class DemoOrganics {
  private let queue: JobQueue
  private let tasks: [TaskConfig]
  private var random = SeededRandom(seed: 1)
  private(set) var submitted = 0
  private(set) var ended: [String: Int] = [:]
  /// Times to the first content, ms.
  private(set) var firstMilliseconds: [Int] = []
  private var waiting: [(id: String, after: Monotonic)] = []

  /// Most requests whose end is still awaited.
  static let waitingMax = 1000

  init(queue: JobQueue, tasks: [TaskConfig]) {
    self.queue = queue
    self.tasks = tasks.filter { $0.kind == .text && $0.weight > 0 && $0.shape == .chat }
  }

  /// Sends requests until `ending` fires, then waits a little for the last answers.
  func run(perSecond: Double, until ending: Signal) async {
    guard perSecond > 0, !tasks.isEmpty else { return }
    while !ending.isFired, !Task.isCancelled {
      await submitOne()
      await collect()
      await EventLoop.shared.sleep(milliseconds: Int(1000 / perSecond))
    }
    for _ in 0..<20 where !waiting.isEmpty {
      await collect()
      await EventLoop.shared.sleep(milliseconds: 100)
    }
  }

  private func submitOne() async {
    guard waiting.count < DemoOrganics.waitingMax else { return }
    let task = tasks[random.below(tasks.count)]
    let id = "demo-\(submitted)"
    let payload =
      #"{"messages":[{"role":"user","content":"Tell me about number \#(submitted)."}],"#
      + #""max_tokens":60}"#
    let result = try? await queue.submit(
      id: id, task: task.name, payload: Array(payload.utf8), allowedMilliseconds: 30_000)
    guard result == .created else { return }
    submitted += 1
    waiting.append((id, Monotonic.now()))
  }

  private func collect() async {
    var open: [(id: String, after: Monotonic)] = []
    for item in waiting {
      let key = queue.keys.reply(item.id)
      let reply = try? await queue.redis.send("XREVRANGE", key, "+", "-", "COUNT", "1")
      guard let fields = reply?[0]?[1]?.fields, let end = fields["end"] else {
        open.append(item)
        continue
      }
      ended[end, default: 0] += 1
      if let first = fields["first_ms"].flatMap({ Int($0) }) { firstMilliseconds.append(first) }
    }
    waiting = open
  }

  /// Requests whose end was not seen.
  var openCount: Int { waiting.count }

  /// The median time to the first content, ms; nil before the first answer.
  var medianFirstMilliseconds: Int? {
    guard !firstMilliseconds.isEmpty else { return nil }
    return firstMilliseconds.sorted()[firstMilliseconds.count / 2]
  }
}
