import Common

/// Why a period cannot be planned.
enum PlanError: Error, Equatable, CustomStringConvertible {
  /// More queries than a period may have.
  case tooManyQueries(planned: Int, max: Int)
  /// The stored snapshot contradicts itself.
  case badSnapshot(String)

  var description: String {
    switch self {
    case .tooManyQueries(let planned, let max):
      "the period would have \(planned) test queries, at most \(max) are planned: "
        + "lower max_capacity, raise volume_per_request or shorten the period"
    case .badSnapshot(let problem): "the stored snapshot is unusable: \(problem)"
    }
  }
}

/// Decides who is tested in a period, how much, and when. Pure: equal arguments give equal plans.
///
/// Every (task, miner) pair draws from random streams of its own, named by the task and the hotkey, so
/// that neither the order of tasks and miners nor the presence of others changes what one pair gets.
enum Planner {
  /// Most queries of one period.
  static let queriesMax = 2_000_000

  /// What a period is planned from.
  struct Input: Sendable {
    var start: PeriodID
    var lengthSeconds: Int
    var profile: ProfileName
    var validatorHotkey: String
    var tasks: [TaskConfig]
    var miners: [MinerRecord]
    /// Volume per profile period, by miner then task, as claimed; nil without an answer.
    var claims: [[Double]?]
    var configDigest: String
    var seed: UInt64
    /// What miners have proven of their claims; nil when capacity is not earned.
    var proven: ProvenVolumes?
  }

  /// The period's numbers: capacities, test volumes and counts by task then miner. A task without weight
  /// is switched off: nothing of it counts or is tested.
  static func snapshot(_ input: Input) throws(PlanError) -> PeriodSnapshot {
    precondition(input.claims.count == input.miners.count)
    let profile = ScoringProfile.named(input.profile)
    let capacities = input.tasks.enumerated().map { place, task in
      input.claims.map { claims in
        profile.capacity(
          claim: task.weight > 0 ? claims?[place] ?? 0 : 0, maxCapacity: task.maxCapacity,
          periodSeconds: input.lengthSeconds)
      }
    }
    let inFull = FullTests(input, capacities: capacities, profile: profile)
    var testVolumes: [[Double]] = []
    var counts: [[Int]] = []
    for (place, task) in input.tasks.enumerated() {
      var volumes: [Double] = []
      var planned: [Double] = []
      for (number, miner) in input.miners.enumerated() {
        if let volume = inFull.volume(task: place, miner: number) {
          volumes.append(volume)
          // In units of what a query stands for, of which a full test needs enough.
          let needed = volume * EarnedCapacity.queryMargin / task.expectedVolume
          planned.append(needed * task.volumePerRequest)
        } else {
          var random = SeededRandom(seed: input.seed, "share", task.name, miner.hotkey)
          volumes.append(capacities[place][number] * profile.testedShare(using: &random))
          planned.append(volumes[number])
        }
      }
      testVolumes.append(volumes)
      counts.append(profile.queryCounts(testVolumes: planned, volumePerRequest: task.volumePerRequest))
    }
    let first = input.start.startSeconds * 1000
    let snapshot = PeriodSnapshot(
      id: input.start, startMilliseconds: first, endMilliseconds: first + input.lengthSeconds * 1000,
      profile: input.profile.rawValue, validatorHotkey: input.validatorHotkey, tasks: input.tasks,
      miners: input.miners, capacities: capacities, testVolumes: testVolumes, counts: counts,
      configDigest: input.configDigest, earnedCapacity: input.proven != nil)
    guard snapshot.plannedCount <= queriesMax else {
      throw .tooManyQueries(planned: snapshot.plannedCount, max: queriesMax)
    }
    return snapshot
  }

  /// When a period's last query is due at the latest, in milliseconds before its end: a hundredth of the
  /// period and a second at most, so that a worker can still claim it in time.
  static func marginMilliseconds(periodMilliseconds: Int) -> Int { min(1000, periodMilliseconds / 100) }

  /// Places the queries of a snapshot in time. The same snapshot and seed give the same plan, so that a
  /// producer can go on where another one stopped.
  static func plan(_ snapshot: PeriodSnapshot, seed: UInt64) throws(PlanError) -> Plan {
    try check(snapshot)
    let profile = try profile(of: snapshot)
    let length = snapshot.endMilliseconds - snapshot.startMilliseconds
    let window = length - marginMilliseconds(periodMilliseconds: length)
    var queries: [Plan.Query] = []
    queries.reserveCapacity(snapshot.plannedCount)
    var volumes: [Plan.Volume] = []
    for (task, row) in snapshot.counts.enumerated() {
      for (miner, count) in row.enumerated() where count > 0 {
        let hotkey = snapshot.miners[miner].hotkey
        var random = SeededRandom(seed: seed, "place", snapshot.tasks[task].name, hotkey)
        let times = profile.placement(count: count, periodMilliseconds: window, using: &random)
        for (number, time) in times.enumerated() {
          queries.append(Plan.Query(offset: time, task: task, miner: miner, number: number))
        }
        volumes.append(Plan.Volume(task: task, miner: miner, milli: milli(snapshot.testVolumes[task][miner])))
      }
    }
    queries.sort()
    return Plan(
      period: snapshot.id, startMilliseconds: snapshot.startMilliseconds,
      taskNames: snapshot.tasks.map(\.name), volumes: volumes, queries: queries)
  }

  private static func profile(of snapshot: PeriodSnapshot) throws(PlanError) -> ScoringProfile {
    guard let name = ProfileName(rawValue: snapshot.profile) else {
      throw .badSnapshot("the profile \(snapshot.profile) is not known")
    }
    return .named(name)
  }

  /// What was read back is checked like anything else that is read.
  private static func check(_ snapshot: PeriodSnapshot) throws(PlanError) {
    guard snapshot.version == PeriodSnapshot.currentVersion else {
      throw .badSnapshot("its version is \(snapshot.version)")
    }
    let (tasks, miners) = (snapshot.tasks.count, snapshot.miners.count)
    guard snapshot.counts.count == tasks, snapshot.testVolumes.count == tasks,
      snapshot.counts.allSatisfy({ $0.count == miners }),
      snapshot.testVolumes.allSatisfy({ $0.count == miners }), tasks <= SubnetConfig.tasksMax,
      miners <= Roster.minersMax
    else { throw .badSnapshot("its tables do not fit its tasks and miners") }
    let counts = snapshot.counts.joined()
    guard counts.allSatisfy({ (0...queriesMax).contains($0) }), snapshot.plannedCount <= queriesMax else {
      throw .badSnapshot("its counts are out of range")
    }
    guard 0 < snapshot.startMilliseconds, snapshot.startMilliseconds < snapshot.endMilliseconds,
      snapshot.endMilliseconds - snapshot.startMilliseconds <= 86_400_000
    else { throw .badSnapshot("it ends before it starts, or lasts longer than a day") }
  }

  /// Thousandths of a volume, as the queue's scripts count them; at least one.
  private static func milli(_ volume: Double) -> Int {
    guard volume.isFinite, volume > 0 else { return 1 }
    return max(1, Int(min((volume * 1000).rounded(), 1e15)))
  }
}
