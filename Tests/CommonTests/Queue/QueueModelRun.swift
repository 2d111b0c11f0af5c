import TestSupport

@testable import Common

/// Runs steps on the scripts and on the reference, and compares after each.
@IO
final class QueueModelRun {
  struct Mismatch: Error, CustomStringConvertible {
    var description: String
  }
  struct Held {
    var id: String
    var token: String
    var kind: JobKind
    var worker: String
  }

  static let start = 1_700_000_000_000
  static let periodMilliseconds = 600_000
  /// The administrator's queue: users' operations and the harness.
  let queue: JobQueue
  /// The same queue for each role, which runs its own operations.
  let workers: JobQueue
  let producers: JobQueue
  let aggregators: JobQueue
  let operators: JobQueue
  var model = ReferenceQueue()
  /// Everything that was ever granted, newest last; old ones are tried again.
  var grants: [Held] = []
  var checkGrants: [Held] = []
  private var requests: [String: Int] = [:]
  private var checkNonces: [Int: Int] = [:]
  /// Each worker's fence, and for each token the generation in which a piece was written.
  private var fences: [String: AppendFence] = [:]
  private var generations: [String: Int] = [:]
  private var appends: [Appended] = []

  /// A call that appended pieces.
  private struct Appended {
    var held: Held
    var start: ReplyPosition
    var sizes: [Int]
    var pieces: [ReplyPiece]
    var step: AppendFence.Step
  }
  /// What the last checkpoint was called with, for its repetition.
  var checkpoint: (from: String, to: String, result: String?) = ("", "", nil)
  var checkpoints = 0
  private var known: Set<String> = []

  init(_ queue: JobQueue, _ clients: ModelClients) {
    self.queue = queue
    workers = JobQueue(redis: clients.worker, keys: queue.keys, clock: .testKey)
    producers = JobQueue(redis: clients.producer, keys: queue.keys, clock: .testKey)
    aggregators = JobQueue(redis: clients.aggregator, keys: queue.keys, clock: .testKey)
    operators = JobQueue(redis: clients.operator, keys: queue.keys, clock: .testKey)
  }

  /// - Throws: a ``Mismatch``, or what Redis answers.
  func run(_ steps: [QueueStep]) async throws {
    model.now = QueueModelRun.start
    try await TestRedis.setClock(queue, model.now)
    _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", "{}", "image", "{}")
    try await queue.publish(DoorLimits(waitingMax: 6, payloadBytesMax: 1_000))
    for (index, step) in steps.enumerated() {
      model.touched = []
      do {
        try await perform(step.operation, isRepeat: false)
        if step.isRepeated { try await perform(step.operation, isRepeat: true) }
        known.formUnion(model.touched)
        try await compare(model.touched.sorted(), everything: false)
      } catch {
        throw Mismatch(description: "step \(index), \(step): \(error)")
      }
    }
    try await compare(known.sorted(), everything: true)
    let report = try await Fsck(queue).run()
    if !report.isClean { throw Mismatch(description: "fsck: \(report.lines.joined(separator: "\n"))") }
  }

  private func compare(_ ids: [String], everything: Bool) async throws {
    let expected = model.lines(ids, everything: everything)
    let found = try await queue.lines(
      ids, everything: everything, periods: (0..<3).map(period), workers: QueueStep.workers)
    guard expected != found else { return }
    var text = "the states differ"
    for index in 0..<max(expected.count, found.count) {
      let left = index < expected.count ? expected[index] : "(nothing)"
      let right = index < found.count ? found[index] : "(nothing)"
      if left != right { text += "\n  expected \(left)\n  found    \(right)" }
    }
    throw Mismatch(description: text)
  }

  func expect<T: Equatable>(_ found: T, _ expected: T) throws {
    if found != expected { throw Mismatch(description: "answered \(found), expected \(expected)") }
  }

  // MARK: names

  func period(_ number: Int) -> Int {
    (QueueModelRun.start + number * QueueModelRun.periodMilliseconds) / 1000
  }
  func worker(_ number: Int) -> String { QueueStep.workers[number] }
  func leader(_ number: Int) -> String { "producer-\(number)" }
  private func newest(_ list: [Held], _ back: Int) -> Held {
    list.isEmpty
      ? Held(id: "o0", token: "none", kind: .organic, worker: "w0") : list[max(0, list.count - 1 - back)]
  }

  // MARK: steps

  private func perform(_ operation: QueueOperation, isRepeat: Bool) async throws {
    switch operation {
    case .submit(let number, let task, let bytes, let allowed):
      try await submit("o\(number)", task: task, bytes: bytes, allowed: allowed)
    case .claim(let number, let organics, let synthetics, let isOld):
      // Organics alone are claimed on another connection.
      let series = synthetics == 0 ? "organics" : ""
      if !isOld && !isRepeat { requests[series + String(number), default: 0] += 1 }
      try await claim(number, series, organics, synthetics)
    case .append(let back, let ahead, let sizes):
      if isRepeat { return try await repeatAppend(back) }
      try await append(newest(grants, back), ahead: ahead, sizes)
    case .settle(let back, let how, let attempts, let work, let sample):
      let settlement = settlement(newest(grants, back), how, attempts, work, sample)
      // Whoever settles a job writes nothing more to its reply.
      generations[settlement.token] = nil
      try expect(try await workers.settle([settlement]), [model.settle(settlement)])
    case .renew(let number): try await renew(worker(number))
    case .release(let back, let delay):
      let held = newest(grants + checkGrants, back)
      let at = model.now + delay
      try expect(
        try await workers.release([(held.id, held.token, at)]), [model.release(held.id, held.token, at: at)])
    case .recover(let limit): try await recover(limit: limit, isRepeat: isRepeat)
    case .cancel(let number):
      try expect(try await queue.cancel(id: "o\(number)"), model.cancel("o\(number)"))
    case .expire(let limit): try expect(try await workers.expire(limit: limit), model.expire(limit: limit))
    case .lead, .open, .schedule, .sweep, .close, .deregister: try await performProducer(operation)
    case .claimCheck(let number, let tasks, let isOld):
      if !isOld && !isRepeat { checkNonces[number, default: 0] += 1 }
      try await claimCheck(number, tasks)
    case .noteCheck, .settleCheck: try await performCheck(operation)
    case .memory, .status, .route, .checkpoint, .leadFold:
      try await performSharing(operation, isRepeat: isRepeat)
    case .pause, .revive, .wait, .die, .takeMarker, .flush:
      try await performRest(operation, isRepeat: isRepeat)
    }
  }

  private func submit(_ id: String, task: Int, bytes: Int, allowed: Int) async throws {
    let name = ["chat", "image", "unknown"][task]
    let result = try await queue.submit(
      id: id, task: name, payload: [UInt8](repeating: 32, count: bytes), allowedMilliseconds: allowed)
    let expected =
      task == 2 && model.jobs[id] == nil
      ? SubmitResult.refused(reason: "unknown_task")
      : model.submit(id, task: name, bytes: bytes, allowed: allowed, waitingMax: 6)
    try expect(result, expected)
  }

  private func claim(_ number: Int, _ series: String, _ organics: Int, _ synthetics: Int) async throws {
    let request = requests[series + String(number)] ?? 0
    let nonce = "n\(number)-\(series)\(request)"
    let result = try await workers.claim(
      worker: worker(number), request: request, series: series, nonce: nonce, organicMax: organics,
      syntheticMax: synthetics, organicLeaseMilliseconds: ReferenceQueue.organicLease,
      syntheticLeaseMilliseconds: ReferenceQueue.syntheticLease)
    let expected = model.claim(
      worker: worker(number), request: request, series: series, nonce: nonce, organicMax: organics,
      syntheticMax: synthetics)
    try expect(result.nowMilliseconds, model.now)
    try expect(result.nextDueMilliseconds, expected.next)
    try expect(result.organicsWait, expected.organicsWait)
    try expect(result.grants.map(\.id), expected.ids)
    for grant in result.grants {
      let job = model.jobs[grant.id]!
      try expect(grant.token, job.token!)
      try expect(grant.attempt, job.attempt ?? 1)
      try expect(grant.kind, job.kind)
      try expect(grant.task, job.task)
      try expect(grant.deadlineMilliseconds, job.deadline)
      try expect(grant.payload.count, job.payload ?? 0)
      grants.append(Held(id: grant.id, token: grant.token, kind: grant.kind, worker: worker(number)))
    }
  }

  private func append(_ held: Held, ahead: Int, _ sizes: [Int]) async throws {
    var start = model.jobs[held.id]?.written ?? ReplyPosition()
    start.pieces = max(0, start.pieces + ahead)
    var fence = fences[held.worker] ?? AppendFence(worker: held.worker)
    var step = fence.advance()
    // A worker knows how far its replies have come.
    let isTrusted = ahead == 0 && generations[held.token] == step.generation
    let data = sizes.map { [UInt8](repeating: 97, count: $0) }
    let pieces = ReplyPiece.following(start, held.id, held.token, isTrusted: isTrusted, data)
    var result = try await workers.append(pieces, step)
    if result == .closed {
      step = fence.open()
      result = try await workers.append(pieces, step)
    }
    fences[held.worker] = fence
    appends.append(.init(held: held, start: start, sizes: sizes, pieces: pieces, step: step))
    let refused = model.append(held.id, held.token, at: start, sizes: sizes)
    try expect(result, .written(refused: refused))
    if refused.isEmpty && ahead == 0 && !sizes.isEmpty { generations[held.token] = step.generation }
  }

  /// A call that comes again as it was, the latest one or one from before: only one that has everything looked
  /// at is carried out.
  private func repeatAppend(_ back: Int) async throws {
    let call = appends[max(0, appends.count - 1 - back)]
    let result = try await workers.append(call.pieces, call.step)
    guard call.step.opens else { return try expect(result, .closed) }
    let refused = model.append(call.held.id, call.held.token, at: call.start, sizes: call.sizes)
    try expect(result, .written(refused: refused))
  }

  private func settlement(
    _ held: Held, _ how: Int, _ attempts: Int, _ work: Int, _ sample: Int
  ) -> Settlement {
    let state: Settlement.State = how < 3 ? .done : how == 3 ? .failed : .interrupted
    let planned = SyntheticJob(id: held.id)
    let period = planned?.period ?? PeriodID(startSeconds: self.period(attempts % 3))
    let task = planned?.task ?? model.jobs[held.id]?.task ?? "chat"
    let count = held.kind == .organic ? attempts : 1
    let entries = (0..<count).map { index in
      let miner = planned?.miner ?? index % 2
      return SettledAttempt(
        entry: AttemptEntry(
          job: held.id, kind: held.kind, period: period, task: task, hotkey: "hk\(miner)",
          outcome: state == .done && index == count - 1 ? .ok : .serverError, status: 200, workMilli: work,
          units: 7, firstContentMilliseconds: work == 0 ? nil : 12, totalMilliseconds: 90,
          settles: held.kind == .synthetic), miner: miner)
    }
    return Settlement(
      id: held.id, token: held.token, state: state, attempts: entries,
      sample: sample == 0
        ? nil : Sample(waitingMax: 2, bytesMax: 50, answer: [UInt8](repeating: 98, count: sample)),
      last: how == 1 ? [] : [("end", state.rawValue), ("completion_tokens", "\(work)")])
  }

  private func renew(_ worker: String) async throws {
    var list: [(id: String, token: String, leaseMilliseconds: Int)] = []
    for held in (grants + checkGrants).suffix(12) where held.worker == worker {
      if !list.contains(where: { $0.id == held.id }) { list.append((held.id, held.token, 70_000)) }
    }
    let result = try await workers.renew(
      worker: worker, lifeMilliseconds: 600_000, record: ["host", "h"], jobs: list)
    let expected = model.renew(worker: worker, jobs: list.map { ($0.id, $0.token, $0.leaseMilliseconds) })
    try expect(result.nowMilliseconds, model.now)
    try expect(result.ended, expected)
  }

  private func recover(limit: Int, isRepeat: Bool) async throws {
    // The pause between passes is kept by Redis's own clock.
    if !isRepeat { _ = try await queue.redis.send("DEL", queue.keys.fixed(.recovering)) }
    let result = try await workers.recover(pauseMilliseconds: 600_000, limit: limit)
    try expect(result, isRepeat ? nil : model.recover(limit: limit))
  }

  /// Two workers serve the same checking server.
  private func server(of worker: String) -> String { worker == QueueStep.workers[2] ? "s1" : "s0" }

  private func claimCheck(_ number: Int, _ tasks: Int) async throws {
    let nonce = "k\(number)-\(checkNonces[number] ?? 0)"
    let server = server(of: worker(number))
    let names = [["chat"], ["image"], ["chat", "image"], ["image", "chat"]][tasks]
    let grant = try await workers.claimCheck(
      worker: worker(number), nonce: nonce, leaseMilliseconds: ReferenceQueue.checkLease, server: server,
      tasks: names)
    try expect(
      grant?.id, model.claimCheck(worker: worker(number), nonce: nonce, server: server, tasks: names))
    guard let grant, let job = model.jobs[grant.id] else { return }
    try expect(grant.token, job.token!)
    try expect(grant.attempt, job.attempt ?? 1)
    try expect(grant.remoteID ?? "", job.remote ?? "")
    try expect(grant.answer.count, job.answer!)
    try expect(FieldList.attempt(grant.entry, miner: grant.miner), job.fields)
    checkGrants.append(Held(id: grant.id, token: grant.token, kind: .check, worker: worker(number)))
  }

  private func performCheck(_ operation: QueueOperation) async throws {
    switch operation {
    case .noteCheck(let back, let isForgotten):
      let held = newest(checkGrants, back)
      let server = server(of: held.worker)
      let result = try await workers.noteCheck(
        id: held.id, token: held.token, remoteID: isForgotten ? nil : server + " r1", tries: 1)
      try expect(
        result, model.noteCheck(held.id, held.token, server: server, remote: isForgotten ? "" : "r1"))
    case .settleCheck(let back, let how):
      let held = newest(checkGrants, back)
      let state = [VerdictEntry.State.judged, .unjudged, .failed][how]
      let score = how == 0 ? 0.75 : nil
      let result = try await workers.settleCheck(id: held.id, token: held.token, state: state, score: score)
      try expect(result, model.settleCheck(held.id, held.token, state: state.rawValue, score: score))
    default: break
    }
  }

  private func performRest(_ operation: QueueOperation, isRepeat: Bool) async throws {
    switch operation {
    case .pause(let number, let isPaused):
      let name = ["organic", "synthetic", "check", "intake"][number]
      try expect(try await queue.pause(name, isPaused), model.pause(name, isPaused))
    case .revive(let number, let isDropped):
      let dead = model.dead
      let id = dead.isEmpty ? "o0" : dead[number % dead.count].id
      let what = isDropped ? "drop" : "retry"
      try expect(try await queue.revive(id: id, what), model.revive(id, what))
    case .wait(let milliseconds):
      model.now += milliseconds
      try await TestRedis.setClock(queue, model.now)
    case .die(let number):
      model.workers[worker(number)] = nil
      // Whoever is dead repeats no request: with its record gone the same nonce would be taken for a new one.
      for series in ["", "organics"] { requests[series + String(number), default: 0] += 1 }
      checkNonces[number, default: 0] += 1
      _ = try await queue.redis.send("DEL", queue.keys.worker(worker(number)))
    case .takeMarker(let number):
      let lane = [Keys.Fixed.wakeOrganic, .wakeDue, .wakeCheck][number]
      _ = try await queue.redis.send("ZPOPMIN", queue.keys.fixed(lane))
      if number == 0 { model.wakeOrganic = nil }
      if number == 1 { model.wakeDue = nil }
      if number == 2 { model.wakeCheck = nil }
    case .flush: _ = try await queue.redis.send("SCRIPT", "FLUSH")
    default: break
    }
  }
}
