import Common
import Foundation
import Testing

@testable import Producer

@Suite("The planner")
struct PlannerTests {
  /// The seeds of one run; a failure prints its seed.
  static let seeds: [UInt64] = (0..<4).map { _ in UInt64.random(in: 0 ... .max) }

  /// What a plan asks of one pair, however tasks and miners are numbered.
  private struct Asked: Hashable {
    var task: String
    var hotkey: String
    var number: Int
    var due: Int
  }

  private func asked(_ snapshot: PeriodSnapshot, seed: UInt64) throws -> Set<Asked> {
    let plan = try Planner.plan(snapshot, seed: seed)
    return Set(
      plan.queries.map {
        Asked(
          task: snapshot.tasks[$0.task].name, hotkey: snapshot.miners[$0.miner].hotkey, number: $0.number,
          due: $0.offset)
      })
  }

  @Test("tests a share of each capped claim that the profile allows", arguments: seeds)
  func shares(seed: UInt64) throws {
    for profile in ProfileName.allCases {
      let input = try Fixture.input(seed: seed, profile: profile, lengthSeconds: profile.periodSeconds)
      let snapshot = try Planner.snapshot(input)
      for (task, config) in input.tasks.enumerated() {
        for (miner, claims) in input.claims.enumerated() {
          let capacity = snapshot.capacities[task][miner]
          let expected = config.weight > 0 ? min(claims?[task] ?? 0, config.maxCapacity) : 0
          #expect(capacity == expected, "seed \(seed)")
          let share = capacity > 0 ? snapshot.testVolumes[task][miner] / capacity : 0
          switch profile {
          case .vision:
            #expect(capacity == 0 || (0.05 - 1e-9...0.8 + 1e-9).contains(share), "seed \(seed)")
            let volume = snapshot.testVolumes[task][miner]
            let count = volume > 0 ? max(1, Int(volume / config.volumePerRequest)) : 0
            #expect(snapshot.counts[task][miner] == count, "seed \(seed)")
          case .nineteen:
            let allowed = [0.04, 0.08, 0.12, 0.8]
            #expect(capacity == 0 || allowed.contains { abs($0 - share) < 1e-9 }, "seed \(seed)")
          }
        }
        if profile == .nineteen {
          let bought = Int(snapshot.testVolumes[task].reduce(0, +) / config.volumePerRequest)
          #expect(snapshot.counts[task].reduce(0, +) == bought, "seed \(seed)")
        }
      }
    }
  }

  @Test("scales claims to the actual length of the period")
  func scaling() throws {
    let whole = try Planner.snapshot(Fixture.input(seed: 5))
    let tenth = try Planner.snapshot(Fixture.input(seed: 5, lengthSeconds: 360))
    #expect(tenth.endMilliseconds - tenth.startMilliseconds == 360_000)
    for (long, short) in zip(whole.capacities.joined(), tenth.capacities.joined()) {
      #expect(abs(short - long / 10) < 1e-9)
    }
  }

  @Test("puts one query into each slice of the period", arguments: seeds)
  func slices(seed: UInt64) throws {
    let snapshot = try Planner.snapshot(Fixture.input(seed: seed))
    let plan = try Planner.plan(snapshot, seed: seed)
    #expect(plan.queries.count == snapshot.plannedCount, "seed \(seed)")
    let length = snapshot.endMilliseconds - snapshot.startMilliseconds
    let window = length - Planner.marginMilliseconds(periodMilliseconds: length)
    #expect(plan.queries.allSatisfy { $0.offset < window }, "seed \(seed)")
    var times: [[Int]: [Int]] = [:]
    for query in plan.queries { times[[query.task, query.miner], default: []].append(query.offset) }
    for (pair, times) in times {
      let count = snapshot.counts[pair[0]][pair[1]]
      #expect(times.count == count, "seed \(seed)")
      let outside = times.enumerated().filter { slice, time in
        !(slice * window / count..<(slice + 1) * window / count).contains(time)
      }
      #expect(outside.isEmpty, "seed \(seed): \(pair)")
    }
  }

  @Test("gives a pair the same queries in whatever order tasks and miners stand", arguments: seeds)
  func order(seed: UInt64) throws {
    let input = try Fixture.input(seed: seed)
    var random = SeededRandom(seed: seed, "order")
    let miners = input.miners.indices.shuffled(using: &random)
    let tasks = input.tasks.indices.shuffled(using: &random)
    var other = input
    other.tasks = tasks.map { input.tasks[$0] }
    other.miners = miners.map { input.miners[$0] }
    other.claims = miners.map { miner in input.claims[miner].map { claims in tasks.map { claims[$0] } } }
    let one = try asked(Planner.snapshot(input), seed: seed)
    #expect(try asked(Planner.snapshot(other), seed: seed) == one, "seed \(seed)")
    #expect(!one.isEmpty, "seed \(seed)")
  }

  @Test("is not changed for one miner by another one that leaves", arguments: seeds)
  func independence(seed: UInt64) throws {
    let input = try Fixture.input(seed: seed)
    var without = input
    without.miners.removeFirst()
    without.claims.removeFirst()
    let expected = try asked(Planner.snapshot(input), seed: seed)
      .filter { $0.hotkey != input.miners[0].hotkey }
    #expect(try asked(Planner.snapshot(without), seed: seed) == expected, "seed \(seed)")
  }

  @Test("plans differently with another seed")
  func otherSeed() throws {
    let snapshot = try Planner.snapshot(Fixture.input(seed: 1))
    #expect(try Planner.plan(snapshot, seed: 1) != Planner.plan(snapshot, seed: 2))
  }

  @Test("cuts the same chunks from the snapshot as it was stored", arguments: seeds)
  func chunks(seed: UInt64) throws {
    let snapshot = try Planner.snapshot(Fixture.input(seed: seed, miners: 25))
    let stored = try JSONDecoder().decode(PeriodSnapshot.self, from: JSONEncoder().encode(snapshot))
    #expect(stored == snapshot, "seed \(seed)")
    let plan = try Planner.plan(snapshot, seed: seed)
    let again = try Planner.plan(stored, seed: seed)
    var ids: Set<String> = []
    var volumes: [String: Int] = [:]
    var last = 0
    for number in 0..<plan.chunkCount {
      let chunk = plan.chunk(number)
      let isSame = chunk == again.chunk(number)
      let isSmall = chunk.volumes.count <= 100 && chunk.jobs.count <= 100
      let isEither = chunk.volumes.isEmpty != chunk.jobs.isEmpty
      let volumesComeFirst = chunk.volumes.isEmpty || ids.isEmpty
      let knowsItsPlace = chunk.isLast == (number == plan.chunkCount - 1)
      #expect(isSame && isSmall && isEither && volumesComeFirst && knowsItsPlace, "seed \(seed)")
      let times = [last] + chunk.jobs.map(\.dueMilliseconds)
      #expect(times == times.sorted(), "seed \(seed)")
      last = times[times.count - 1]
      ids.formUnion(chunk.jobs.map(\.id))
      for (field, value) in chunk.volumes { volumes[field] = value }
    }
    #expect(ids.count == snapshot.plannedCount, "every id is unique; seed \(seed)")
    #expect(last < snapshot.endMilliseconds, "seed \(seed)")
    var pairs: Set<[Int]> = []
    for query in plan.queries where pairs.insert([query.task, query.miner]).inserted {
      let field = "test:\(plan.taskNames[query.task]):\(query.miner)"
      let milli = try #require(volumes[field], "seed \(seed)")
      let volume = snapshot.testVolumes[query.task][query.miner]
      #expect(abs(Double(milli) / 1000 - volume) <= 0.0011, "seed \(seed)")
    }
    #expect(volumes.count == pairs.count, "seed \(seed)")
    #expect(ids.allSatisfy { SyntheticJob(id: $0)?.description == $0 }, "seed \(seed)")
  }

  @Test("refuses a period with more queries than it may have, and says so")
  func tooMany() throws {
    var input = try Fixture.input(seed: 1)
    input.tasks = try Fixture.config(
      tasks: [Fixture.task("chat-a", weight: 1, maxCapacity: 1e9, volumePerRequest: 1)]).tasks
    input.miners = Fixture.miners(40)
    input.claims = Array(repeating: [1e12], count: 40)
    let error = #expect(throws: PlanError.self) { try Planner.snapshot(input) }
    #expect(error == .tooManyQueries(planned: 4_000_000, max: 2_000_000))
  }

  @Test("refuses a stored snapshot that contradicts itself")
  func badSnapshot() throws {
    let good = try Planner.snapshot(Fixture.input(seed: 1))
    var short = good
    short.counts.removeLast()
    var negative = good
    negative.counts[0][0] = -1
    var backwards = good
    backwards.endMilliseconds = backwards.startMilliseconds
    var future = good
    future.version = 2
    var stranger = good
    stranger.profile = "other"
    for bad in [short, negative, backwards, future, stranger] {
      #expect(throws: PlanError.self) { try Planner.plan(bad, seed: 1) }
    }
  }
}
