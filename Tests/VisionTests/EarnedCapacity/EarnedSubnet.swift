import Foundation

@testable import Aggregator
@testable import Common
@testable import Producer

/// A subnet of one task in virtual periods: planned by the real planner, folded and weighed by the real
/// fold, with miners whose hardware does so much volume in a period and no more.
struct EarnedSubnet {
  /// What a miner does with the queries that its hardware has no room for.
  enum Overload: String, CaseIterable {
    case refuses = "429", timesOut = "time-out", slows = "slow"
  }

  struct Miner {
    var name: String
    var overload = Overload.refuses
    /// What it declares, as a multiple of what its hardware can do, by period.
    var factor: @Sendable (_ period: Int) -> Double = { _ in 1 }
    /// Multiple of the usual hardware.
    var hardware = 1.0
    /// Before it the miner is not in the roster.
    var joins = 0
    /// Whether every one of its tests is in full, whatever the lot says.
    var isHeavilyTested = false
    /// Part of the test volume that users ask for instead.
    var organicShare = 0.0
  }

  /// What one miner got over a run.
  struct Record {
    var income = 0.0
    /// Credit over hardware, by period; 0 while it is not there.
    var credit: [Double] = []
    var scores: [Double] = []
    var asked = 0
  }

  static let task = EarnedSubnet.makeTask()
  /// The lengths of answers, as multiples of 75 volume units with the mean of a query's volume. At a speed
  /// that all share, volume over time is then the same number for all, to the last bit.
  static let lengths = 2...6
  /// A failure in so many answers happens to everybody.
  static let failureChance = 0.01

  let profile: ProfileName
  let miners: [Miner]
  /// Volume of the usual hardware in a period.
  let hardware: Double
  var isEarned = true
  private var random: SeededRandom
  private var state = FoldState()
  private var published: [ProvenVolumes] = []
  private var clock = 0
  private(set) var records: [Record]

  init(profile: ProfileName, miners: [Miner], queries: Int, seed: UInt64, isEarned: Bool = true) {
    self.profile = profile
    self.miners = miners
    hardware = Double(queries) * Self.task.volumePerRequest
    self.isEarned = isEarned
    random = SeededRandom(seed: seed, "subnet")
    records = miners.map { _ in Record() }
  }

  private static func makeTask() -> TaskConfig {
    TaskConfig(
      name: "chat", kind: .text, shape: .chat, weight: 1, maxCapacity: 1e9, volumePerRequest: 300,
      path: "/", model: "m", streams: true,
      timeouts: TaskTimeouts(
        connectMilliseconds: 1000, firstContentMilliseconds: 5000, stallMilliseconds: 5000,
        totalMilliseconds: 60_000),
      speed: SpeedModel(mean: 0.006, variance: 80, overheadSeconds: 0))
  }

  mutating func run(periods: Int) throws {
    for period in 0..<periods { try run(period) }
  }

  private mutating func append(_ entry: LedgerEntry) -> PeriodResult? {
    clock += 1
    return state.apply(entry, id: "\(clock)-0")
  }

  private mutating func run(_ number: Int) throws {
    let here = miners.indices.filter { miners[$0].joins <= number }
    let snapshot = try plan(number, here)
    clock = max(clock, snapshot.startMilliseconds)
    _ = append(.opened(snapshot))
    for (place, miner) in here.enumerated() { serve(snapshot, place: place, miner: miner) }
    let result = append(.closed(snapshot.id))
    published.append(ProvenVolumes(state.proven))
    note(result, here)
  }

  /// A period is planned before the one in front of it is closed: what that one shows comes too late.
  private mutating func plan(_ number: Int, _ here: [Int]) throws -> PeriodSnapshot {
    let length = profile.periodSeconds
    let known = number < 2 ? ProvenVolumes() : published[number - 2]
    let claims = here.map { miner -> [Double]? in
      [hardware * miners[miner].hardware * miners[miner].factor(number)]
    }
    var snapshot = try Planner.snapshot(
      Planner.Input(
        start: PeriodID(startSeconds: 1_000_000 + number * length), lengthSeconds: length,
        profile: profile, validatorHotkey: "v", tasks: [Self.task],
        miners: here.map { MinerRecord(hotkey: miners[$0].name, uid: $0, address: "http://127.0.0.1") },
        claims: claims, configDigest: "d", seed: random.next(), proven: isEarned ? known : nil))
    for (place, miner) in here.enumerated() where miners[miner].isHeavilyTested {
      let capacity = snapshot.capacities[0][place]
      snapshot.testVolumes[0][place] = capacity
      snapshot.counts[0][place] = Int(
        capacity * EarnedCapacity.queryMargin / Self.task.volumePerRequest)
    }
    return snapshot
  }

  /// The miner's queries of one period, users' first, until its test volume is used up.
  private mutating func serve(_ snapshot: PeriodSnapshot, place: Int, miner: Int) {
    let volume = snapshot.testVolumes[0][place]
    let count = snapshot.counts[0][place]
    let organic = Int(Double(count) * miners[miner].organicShare)
    let load = volume / (hardware * miners[miner].hardware)
    var used = 0.0
    var left = hardware * miners[miner].hardware
    for number in 0..<count {
      if used >= volume {
        let job = SyntheticJob(period: snapshot.id, task: Self.task.name, miner: place, number: number)
        _ = append(.skipped(SkipEntry(job: job, reason: .volume)))
        continue
      }
      records[miner].asked += 1
      let work = 75 * Double(Self.lengths.lowerBound + random.below(Self.lengths.count))
      let isServed = work <= left && random.uniform() >= Self.failureChance
      var outcome = Outcome.ok
      if isServed {
        left -= work
        used += work
      } else {
        outcome =
          work <= left ? .serverError : miners[miner].overload == .refuses ? .rateLimited : .totalTimeout
      }
      let isSlow = miners[miner].overload == .slows && load > 1
      let entry = attempt(
        snapshot, place: place, miner: miner, number: number, isOrganic: number < organic, outcome: outcome,
        work: isServed ? work : 0, milliseconds: Int(work * (isSlow ? 60 : 10)))
      _ = append(.attempt(entry))
      if number < organic { settleUnsent(snapshot, place: place, number: number) }
      if isServed, number % 4 == 0 {
        let verdict = VerdictEntry(
          check: "c\(clock)", attempt: entry, state: .judged, score: 0.95)
        _ = append(.verdict(verdict))
      }
    }
  }

  /// A query whose volume users took.
  private mutating func settleUnsent(_ snapshot: PeriodSnapshot, place: Int, number: Int) {
    let job = SyntheticJob(period: snapshot.id, task: Self.task.name, miner: place, number: number)
    _ = append(.skipped(SkipEntry(job: job, reason: .volume)))
  }

  private func attempt(
    _ snapshot: PeriodSnapshot, place: Int, miner: Int, number: Int, isOrganic: Bool, outcome: Outcome,
    work: Double, milliseconds: Int
  ) -> AttemptEntry {
    let job = SyntheticJob(period: snapshot.id, task: Self.task.name, miner: place, number: number)
    return AttemptEntry(
      job: isOrganic ? "o:\(clock)" : job.description, kind: isOrganic ? .organic : .synthetic,
      period: snapshot.id, task: Self.task.name, hotkey: miners[miner].name, outcome: outcome,
      status: 200, workMilli: Int(work * 1000), units: Int(work * 4), firstContentMilliseconds: 300,
      totalMilliseconds: milliseconds, settles: !isOrganic)
  }

  private mutating func note(_ result: PeriodResult?, _ here: [Int]) {
    guard let result else { return }
    for index in miners.indices {
      let found = result.tasks[0].miners.first { $0.factors.hotkey == miners[index].name }
      let hardware = hardware * miners[index].hardware
      records[index].credit.append((found?.factors.capacity ?? 0) / hardware)
      if let score = found?.periodScore { records[index].scores.append(score) }
    }
    guard case .weights(let weights) = result.outcome else { return }
    for weight in weights { records[weight.uid].income += weight.weight }
  }
}
