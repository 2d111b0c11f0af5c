import Common
import Foundation

/// One task of a period. An object: attempts refer to it instead of copying some twenty fields each.
final class LoadedTask: Sendable {
  let config: TaskConfig
  /// How its answers are written for users.
  let frame: ChunkForm.Frame

  init(_ config: TaskConfig) {
    self.config = config
    frame = ChunkForm.Frame(model: config.model, isChat: config.shape == .chat)
  }
}

/// A period as a worker needs it.
@IO
final class LoadedPeriod {
  /// What the period was planned from.
  let snapshot: PeriodSnapshot
  /// The seed from which its synthetic queries are built.
  let seed: UInt64
  /// The snapshot's tasks, in its order.
  let tasks: [LoadedTask]
  private let tasksByName: [String: Int]

  init(snapshot: PeriodSnapshot, seed: UInt64) {
    self.snapshot = snapshot
    self.seed = seed
    tasks = snapshot.tasks.map { LoadedTask($0) }
    tasksByName = Dictionary(
      snapshot.tasks.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The index of a task in the snapshot; nil when the period does not have it.
  func taskIndex(_ name: String) -> Int? { tasksByName[name] }
}

/// The periods that a worker currently works for, read from Redis once each.
@IO
final class SnapshotCache {
  /// Periods kept; the earliest make room.
  static let periodsMax = 4

  private let queue: JobQueue
  private var periods: [PeriodID: LoadedPeriod] = [:]
  private var loads: [PeriodID: Task<LoadedPeriod?, Never>] = [:]
  /// The period whose roster organics use: the latest that has begun.
  private(set) var current: LoadedPeriod?

  init(queue: JobQueue) { self.queue = queue }

  /// The period, if it was read before.
  func known(_ id: PeriodID) -> LoadedPeriod? { periods[id] }

  /// The period, from memory or from Redis; nil when Redis does not have it or it cannot be read.
  func period(_ id: PeriodID) async -> LoadedPeriod? {
    if let known = periods[id] { return known }
    if let load = loads[id] { return await load.value }
    let load = IO.task { @IO in await self.load(id) }
    loads[id] = load
    let loaded = await load.value
    loads[id] = nil
    if let loaded { keep(loaded) }
    return loaded
  }

  private func load(_ id: PeriodID) async -> LoadedPeriod? {
    do {
      guard let plan = try await queue.storedPlan(id) else { return nil }
      let snapshot = try JSONDecoder().decode(PeriodSnapshot.self, from: Data(plan.snapshot))
      guard snapshot.version == PeriodSnapshot.currentVersion else {
        Log.shared.error("period of another version", ["period": id.description])
        return nil
      }
      return LoadedPeriod(snapshot: snapshot, seed: plan.seed)
    } catch {
      Log.shared.warning("period cannot be read", ["period": id.description, "error": LoggedError(error)])
      return nil
    }
  }

  private func keep(_ loaded: LoadedPeriod) {
    periods[loaded.snapshot.id] = loaded
    while periods.count > SnapshotCache.periodsMax, let first = periods.keys.min() { periods[first] = nil }
  }

  /// The period whose roster organics use now; nil when none is known or it is over.
  func knownCurrent(nowMilliseconds: Int) -> LoadedPeriod? {
    current.flatMap { $0.snapshot.endMilliseconds > nowMilliseconds ? $0 : nil }
  }

  /// The same, looked for anew when the one that is known is over; where there is no later one, that one.
  func currentPeriod(nowMilliseconds: Int) async -> LoadedPeriod? {
    if let known = knownCurrent(nowMilliseconds: nowMilliseconds) { return known }
    try? await refreshCurrent(nowMilliseconds: nowMilliseconds)
    return current
  }

  /// Looks for the latest period that has begun.
  func refreshCurrent(nowMilliseconds: Int) async throws(RedisError) {
    let open = try await queue.openPeriods()
    let begun = open.filter { $0.startSeconds * 1000 <= nowMilliseconds }
    guard let latest = begun.max(), latest != current?.snapshot.id else { return }
    if let loaded = await period(latest) { current = loaded }
  }
}
