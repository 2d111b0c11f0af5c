import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

/// Users' requests and test queries that come to miners through one worker in the same seconds, both at random
/// moments: users as they please, queries as they are due. Each miner gets twelve a second, which is more than
/// it would in a real subnet: what a worker claims together, users first, then seldom goes to the same miner.
@Suite("When and how users' requests and test queries come", .timeLimit(.minutes(2)))
struct ArrivalTests {
  private static let miners = 24
  /// Of the miner with this number, and of no other.
  @IO private static func task(_ miner: Int) -> String { "\(OrganicBench.chat)-\(miner)" }
  private static let perClass = 1_200
  private static let spanMilliseconds = 8_000

  @Test(
    "says nothing of which is which to a classifier, which finds a planted difference",
    .enabled(if: ProcessInfo.processInfo.environment["VISION_TEST_LONG"] != nil))
  @IO func classifier() async throws {
    var areas: [Double] = []
    // A machine that stands still for a moment makes a burst of what has come meanwhile, users first.
    for _ in 1...4 where areas.allSatisfy({ $0 > 0.55 }) {
      let seed = UInt64.random(in: 0 ... .max)
      let (rows, labels) = try await run(seed)
      let planted = zip(rows, labels).map { row, isUser in
        row.map { $0 + (isUser && Int(row[0] * 1000) % 3 == 0 ? 5 : 0) }
      }
      let (area, found) = (Stumps.areaByHalves(rows, labels), Stumps.areaByHalves(planted, labels))
      print("arrivals: AUC \(area), with a planted difference \(found), seed \(seed)")
      #expect(found > 0.6, "seed \(seed)")
      areas.append(area)
    }
    #expect(areas.contains { $0 <= 0.55 }, "\(areas)")
  }

  /// What the miners saw of each request, and which were users'.
  @IO private func run(_ seed: UInt64) async throws -> (rows: [[Double]], labels: [Bool]) {
    var (rows, labels): ([[Double]], [Bool]) = ([], [])
    var random = SeededRandom(seed: seed)
    try await OrganicBench.run(miners: Self.miners, planned: Self.perClass / Self.miners, ownTasks: true) {
      bench in
      for miner in bench.miners { miner.act = { _ in .answer(1) } }
      try await bench.withWorker {
        // Connections are open.
        for number in 0..<Self.miners * 5 {
          _ = try await bench.ask("w\(number)", task: Self.task(number % Self.miners))
        }
        @IO func asked() -> Int { bench.miners.reduce(0) { $0 + $1.bodies.count } }
        let (warm, before) = (bench.miners.map(\.bodies.count), asked())
        let start = try await bench.queue.nowMilliseconds() + 2_000
        try await schedule(bench, from: start, &random)
        let users = try await ask(bench, from: start, &random)
        try await bench.until("all are asked") { asked() == before + 2 * Self.perClass }
        for (miner, first) in zip(bench.miners, warm) {
          for index in first..<miner.bodies.count {
            rows.append(features(miner, index))
            labels.append(users.contains(try JSON(parsing: Data(miner.bodies[index]))["seed"]?.int ?? 0))
          }
        }
        #expect(labels.count { $0 } == Self.perClass && labels.count == 2 * Self.perClass)
      }
    }
    return (rows, labels)
  }

  /// What a miner sees of a request beside its bytes: the time since the ones before, in ms, where in its
  /// second and hundredth it came, and its connection.
  @IO private func features(_ miner: ScriptedMiner, _ index: Int) -> [Double] {
    let arrival = miner.arrivals[index]
    func since(_ earlier: Int) -> Double {
      Double(arrival.at.nanoseconds - miner.arrivals[index - earlier].at.nanoseconds) / 1e6
    }
    return [
      since(1), since(2), since(5), Double(arrival.at.nanoseconds / 1_000_000 % 1_000),
      Double(arrival.at.nanoseconds / 1_000 % 10_000), Double(arrival.onConnection),
      Double(arrival.onConnection == 0 ? 1 : 0),
      Double(arrival.onConnection - miner.arrivals[index - 1].onConnection),
    ]
  }

  /// Planned queries, each due at a random moment.
  @IO private func schedule(_ bench: OrganicBench, from start: Int, _ random: inout SeededRandom) async throws
  {
    for (chunk, first) in stride(from: 0, to: Self.perClass, by: 100).enumerated() {
      let jobs = (first..<first + 100).map { number in
        let miner = number % Self.miners
        let job = SyntheticJob(
          period: bench.period.id, task: Self.task(miner), miner: miner, number: number / Self.miners)
        return (dueMilliseconds: start + random.below(Self.spanMilliseconds), id: job.description)
      }
      let result = try await bench.queue.schedule(
        leader: "p", period: bench.period.id, chunk: chunk, isLast: first + 100 == Self.perClass, volumes: [],
        jobs: jobs)
      #expect(result == .next(chunk + 1))
    }
  }

  /// Users who ask at random moments. Returns the seeds that they gave their requests.
  @IO private func ask(
    _ bench: OrganicBench, from start: Int, _ random: inout SeededRandom
  ) async throws -> Set<Int> {
    let lead = start - (try await bench.queue.nowMilliseconds())
    let begun = Monotonic.now().advanced(milliseconds: lead)
    var seeds: Set<Int> = []
    while seeds.count < Self.perClass { seeds.insert(1 + random.below(100_000_000)) }
    let moments = (0..<Self.perClass).map { _ in random.below(Self.spanMilliseconds) }.sorted()
    var asks: [Task<Void, any Error>] = []
    for (moment, seed) in zip(moments, seeds) {
      let wait = begun.advanced(milliseconds: moment).milliseconds(since: Monotonic.now())
      if wait > 0 { await EventLoop.shared.sleep(milliseconds: wait) }
      let task = Self.task(random.below(Self.miners))
      let payload = OrganicBench.payload.dropLast() + #","seed":\#(seed)}"#
      asks.append(
        IO.task { @IO in
          let result = try await bench.queue.submit(
            id: "u\(seed)", task: task, payload: Array(payload.utf8), account: "me"
          )
          #expect(result == .created)
        })
    }
    for ask in asks { try await ask.value }
    return seeds
  }
}
