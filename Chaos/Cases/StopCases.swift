import Common
import Glibc

/// Workers that are asked to stop, and workers of two versions beside each other.
enum StopCases {
  // MARK: 4

  static let rolling = ChaosCase(
    name: "rolling-restart", number: 4,
    about: "SIGTERM to six workers one after the other in mid-period, with time to finish and without",
    seconds: 300, run: runRolling)

  @IO private static func runRolling(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 60, perSecond: 20)
    let count = stage.parameters.times ?? 6
    let patientCount = (count + 1) / 2
    // Longer than a slow machine takes for all restarts: the last worker must have something to leave behind.
    var plan = Stage.Plan(miners: [miner, miner], queries: count * 300 + 400)
    plan.dueMilliseconds = { 1_000 + $0 * 25 }
    try await stage.open(plan)
    var patient = Stage.WorkerSettings()
    patient.graceMilliseconds = 15_000
    var hasty = patient
    hasty.graceMilliseconds = 500
    var workers: [StageProcess] = []
    for number in 0..<count {
      workers.append(try await stage.startWorker(number < patientCount ? patient : hasty))
    }
    let users = try stage.users()
    users.begin(perSecond: 5)
    try await stage.pass(milliseconds: 4_000)
    let began = WallClock.nowMilliseconds()
    var statuses: [ExitStatus?] = []
    var longest = 0
    for number in 0..<count {
      // Users' answers cannot be handed back once they were seen: only the patient ones are asked to stop
      // beside them.
      if number == patientCount {
        users.stop()
        await users.waitForReplies(seconds: 30)
      }
      let fresh = try await stage.startWorker(patient)
      let start = Monotonic.now()
      workers[number].process.signal(SIGTERM)
      _ = await workers[number].process.waitForExit()
      longest = max(longest, Monotonic.now().milliseconds(since: start))
      statuses.append(workers[number].process.status)
      workers[number] = fresh
    }
    let ended = WallClock.nowMilliseconds()
    // Asked twice, a worker ends at once; its jobs come back by their leases.
    let impatient = workers.removeLast()
    let name = try await stage.id(of: impatient) ?? ""
    try await stage.wait(seconds: 30, for: "jobs at the worker that is asked twice") {
      try await stage.held(by: name).count > 5
    }
    impatient.process.signal(SIGTERM)
    try await stage.pass(milliseconds: 200)
    impatient.process.signal(SIGTERM)
    _ = await impatient.process.waitForExit()
    let judge = try await stage.conclude(stopping: workers)
    stage.show("workers that ended with 0", statuses.count { $0 == .exited(0) }, "", .exactly(Double(count)))
    stage.show("longest stop", longest, "ms", .atMost(30_000))
    stage.show("queries handed back or taken over", judge.reruns, "", .atLeast(1))
    // A second request beside a silent miner that was given up is no burned attempt.
    let burned = judge.effects.values.count { $0.outcomes.filter { $0 != "cancelled" } != ["ok"] }
    stage.show("jobs with another outcome than ok", burned, "", .exactly(0))
    stage.show("longest time without a claim", judge.longestGap(from: began, to: ended), "ms", .atMost(1_000))
    stage.show(
      "ended at once by a second signal", impatient.process.status == .exited(130) ? 1 : 0, "", .exactly(1))
  }

  // MARK: 5

  static let versions = ChaosCase(
    name: "versions", number: 5,
    about: "half of the workers bring scripts of another digest; rolled up and down", seconds: 240,
    run: runVersions)

  @IO private static func runVersions(_ stage: Stage) async throws {
    try await stage.startRedis()
    let miner = try await stage.startMiner(tokens: 10, perSecond: 20)
    let proxy = try stage.proxy()
    proxy.isOtherVersion = true
    var plan = Stage.Plan(miners: [miner, miner], queries: 1_000)
    plan.dueMilliseconds = { 1_000 + $0 * 30 }
    try await stage.open(plan)
    try stage.users().begin(perSecond: 10)
    try stage.users(through: proxy.url).begin(perSecond: 10)
    var other = Stage.WorkerSettings()
    other.url = proxy.url
    var workers = [try await stage.startWorker(), try await stage.startWorker(other)]
    // Down, up, and down again.
    for settings in [other, Stage.WorkerSettings(), other, Stage.WorkerSettings()] {
      try await stage.pass(milliseconds: 5_000)
      let fresh = try await stage.startWorker(settings)
      try await stage.stop([workers.removeFirst()])
      workers.append(fresh)
    }
    try await stage.pass(milliseconds: 5_000)
    let logs = stage.children.filter { $0.name == "worker" }.map(\.text).joined()
    try await stage.conclude(stopping: workers)
    stage.show("scripts of the other version", proxy.scripts.count, "", .atLeast(7))
    stage.show(
      "errors in the workers' logs", logs.split(separator: "\n").count { $0.contains("level=error") }, "",
      .exactly(0))
    stage.show("users' errors", stage.users.flatMap(\.errors).count, "", .exactly(0))
  }
}
