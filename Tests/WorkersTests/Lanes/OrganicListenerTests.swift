import Common
import Foundation
import TestSupport
import Testing

@testable import Workers

@Suite("Listening for users' requests", .timeLimit(.minutes(1)))
struct OrganicListenerTests {
  @Test("a request comes with its marker: the claim behind the wait brings it")
  @IO func withTheMarker() async throws {
    try await Worker.run { worker in
      try await worker.submit("a")
      try await worker.wait(for: ["a"])
      #expect(try await worker.granted() == "a")
      try await worker.submit("b", "c", "d")
      try await worker.wait(for: ["a", "b", "c", "d"])
    }
  }

  @Test("a connection that is cut while it waits costs no request")
  @IO func cut() async throws {
    try await Worker.run { worker in
      for number in 0..<4 {
        try await worker.cut()
        try await worker.submit("r\(number)")
        try await worker.wait(for: Set((0...number).map { "r\($0)" }))
      }
    }
  }

  @Test("a full worker keeps no slot that it has not, and takes the next one when a job ends")
  @IO func full() async throws {
    try await Worker.run(slots: 2) { worker in
      try await worker.submit("a", "b", "c")
      try await worker.wait(for: ["a", "b"])
      try await worker.submit("d")
      for _ in 0..<3 { await worker.look() }
      #expect(worker.started.count == 2 && worker.claimer.slots.running == 2)
      worker.claimer.free(.organic)
      try await worker.wait(for: ["a", "b", "c"])
      worker.claimer.free(.organic)
      try await worker.wait(for: ["a", "b", "c", "d"])
    }
  }

  @Test("the last free slot is not kept from a query that is due, also when no marker tells of it")
  @IO func lastSlot() async throws {
    // Without a share that synthetics must have: that one would leave them the slot too.
    try await Worker.run(slots: 3, syntheticShare: 0) { worker in
      try await worker.submit("a", "b")
      try await worker.wait(for: ["a", "b"])
      let query = try await worker.plan()
      try await worker.wait(for: ["a", "b", query])
      worker.claimer.free(.synthetic)
      try await worker.submit("c")
      try await worker.wait(for: ["a", "b", query, "c"])
    }
  }

  @Test("one that stopped takes nothing any more, and runs what its last claim brought")
  @IO func stopped() async throws {
    for seed in 0..<20 {
      try await Worker.run { worker in
        let submit = IO.task { @IO in try await worker.submit("a") }
        // Somewhere around the moment of the claim.
        for _ in 0..<seed { await Task.yield() }
        await worker.stop()
        try await submit.value
        let waits = try await worker.queue.redis.send("ZCARD", worker.queue.keys.fixed(.organic)).int
        #expect(waits == (worker.started.isEmpty ? 1 : 0), "either it runs, or it waits for others")
        if waits == 1 {
          let marker = worker.queue.keys.fixed(.wakeOrganic)
          #expect(try await worker.queue.redis.send("ZCARD", marker).int == 1, "and somebody is woken")
        }
      }
    }
  }

  /// The claiming parts of a worker, without what runs the jobs.
  @IO
  private final class Worker {
    let queue: JobQueue
    let claimer: Claimer
    private let listener: OrganicListener
    private(set) var started: Set<String> = []
    private let stopping = Signal()
    private var loops: [Task<Void, Never>] = []
    private let name = "vision-test-\(UInt64.random(in: 0 ... .max))"

    static func run(
      slots: Int = 10, syntheticShare: Double = 0.1, _ body: @IO (Worker) async throws -> Void
    ) async throws {
      try await TestRedis.withQueue { queue in
        _ = try await queue.redis.send("HSET", queue.keys.fixed(.tasks), "chat", "{}")
        let worker = try Worker(queue, slots: slots, syntheticShare: syntheticShare)
        do {
          try await body(worker)
          await worker.stop()
        } catch {
          await worker.stop()
          throw error
        }
      }
    }

    private init(_ queue: JobQueue, slots: Int, syntheticShare: Double) throws {
      self.queue = queue
      let leases = (organic: 6_000, synthetic: 15_000)
      claimer = Claimer(
        queue: queue, worker: "w", clock: RedisClock(), slots: Slots(total: slots, reservedShare: 0.2),
        floor: SyntheticFloor(share: syntheticShare), leases: leases)
      let redis = RedisClient(
        address: try TestRedis.address(as: .worker), options: MarkerListener.options(name: name))
      listener = OrganicListener(redis: redis, queue: queue, worker: "w", claimer: claimer, leases: leases)
      claimer.start = { [weak self] in self?.started.insert($0.id) }
      loops = [
        IO.task { @IO in await self.claimer.run(until: self.stopping) },
        IO.task { @IO in await self.listener.run(until: self.stopping) },
      ]
    }

    func stop() async {
      stopping.fire()
      for loop in loops { await loop.value }
      loops = []
      await claimer.putMarkersBack()
    }

    /// Lets the claimer look, and waits until it did.
    func look() async {
      let before = claimer.lastClaimAt
      while claimer.lastClaimAt <= before {
        claimer.poke()
        await EventLoop.shared.sleep(milliseconds: 1)
      }
    }

    func submit(_ ids: String...) async throws {
      for id in ids {
        #expect(try await queue.submit(id: id, task: "chat", payload: Array("{}".utf8)) == .created)
      }
    }

    /// Plans a query that is due now, and takes its marker away. Returns its name.
    func plan() async throws -> String {
      let now = try await queue.nowMilliseconds()
      let period = try PeriodSnapshot.make(
        startMilliseconds: now / 1000 * 1000, lengthMilliseconds: 600_000, counts: [[1]])
      _ = try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000)
      _ = try await queue.openPeriod(
        leader: "p", snapshot: period, encoded: Array(JSONEncoder().encode(period)), seed: 1,
        pacePerSecond: 100, burst: 100)
      let id = SyntheticJob(period: period.id, task: period.tasks[0].name, miner: 0, number: 0).description
      _ = try await queue.schedule(
        leader: "p", period: period.id, chunk: 0, isLast: true, volumes: [],
        jobs: [(dueMilliseconds: now, id: id)])
      _ = try await queue.redis.send("DEL", queue.keys.fixed(.wakeDue))
      return id
    }

    func wait(for ids: Set<String>) async throws {
      let began = Monotonic.now()
      while started != ids {
        guard Monotonic.now().milliseconds(since: began) < 30_000 else {
          throw Late(started: started)
        }
        await EventLoop.shared.sleep(milliseconds: 1)
      }
    }

    struct Late: Error { var started: Set<String> }

    /// What the listener's last claim was granted.
    func granted() async throws -> String? {
      try await queue.redis.send("HGET", queue.keys.worker("w"), "grantedorganics").text
    }

    /// Cuts the listener's connection off, when there is one.
    func cut() async throws {
      let list = try await queue.redis.send("CLIENT", "LIST", "TYPE", "normal").text ?? ""
      for line in list.split(separator: "\n") where line.contains("name=\(name)") {
        guard let id = line.firstMatch(of: /id=(\d+)/) else { continue }
        _ = try await queue.redis.send("CLIENT", "KILL", "ID", String(id.1))
      }
    }
  }
}
