import Common

/// Draws the miners of a simulated subnet from a seed. Each part has a generator of its own, so that a
/// change of one changes no other.
struct Population {
  /// The cheats, in the order in which they are dealt out. The first five, which claim what their honest
  /// twin claims, are in every mix; the rest follow as room allows.
  static let cheats: [BehaviourKind] = [
    .garbage, .alwaysRateLimited, .slowDrip, .truncates, .refuses, .claimsTenfold, .stalls, .claimsDouble,
    .inBandError, .claimsFivefold,
  ]
  /// Most miners of one subnet.
  static let minersMax = 4096

  let miners: [MinerBehaviour]
  let tasks: [TaskConfig]

  /// `count` miners: ten in twenty-four cheat if `cheats`, else none. Precondition: 1…``minersMax``.
  init(count: Int, cheats: Bool, subnet: SimulatedSubnet, seed: UInt64) {
    let cheatCount = cheats ? count * 10 / 24 : 0
    let kinds = (0..<cheatCount).map { Population.cheats[$0 % Population.cheats.count] }
    let honest = [BehaviourKind](repeating: .honest, count: count - cheatCount)
    self.init(kinds: honest + kinds, subnet: subnet, seed: seed)
  }

  /// Miners of the given kinds, in an order that the seed decides. Every cheat gets the hardware, the
  /// quality and the dialect of an honest miner, its twin, if there is one.
  /// Precondition: 1…``minersMax`` kinds.
  init(kinds: [BehaviourKind], subnet: SimulatedSubnet, seed: UInt64) {
    precondition((1...Population.minersMax).contains(kinds.count))
    tasks = subnet.tasks.filter { $0.weight > 0 }
    var honest: [MinerBehaviour] = []
    var cheating: [MinerBehaviour] = []
    for (index, kind) in kinds.enumerated() {
      var miner = Population.draw(index: index, tasks: tasks, subnet: subnet, seed: seed)
      if kind == .honest {
        honest.append(miner)
      } else {
        miner.kind = kind
        cheating.append(miner)
      }
    }
    for index in cheating.indices where !honest.isEmpty {
      let twin = honest[index % honest.count]
      cheating[index].twinOf = twin.hotkey
      cheating[index].quality = twin.quality
      cheating[index].hardware = twin.hardware
      cheating[index].minerType = twin.minerType
      cheating[index].dialect = twin.dialect
    }
    var order = SeededRandom(seed: seed, "order")
    var all = (honest + cheating).shuffled(using: &order)
    for index in all.indices { all[index].uid = index }
    miners = all
  }

  private static func draw(
    index: Int, tasks: [TaskConfig], subnet: SimulatedSubnet, seed: UInt64
  ) -> MinerBehaviour {
    var identity = SeededRandom(seed: seed, "identity", String(index))
    var nature = SeededRandom(seed: seed, "nature", String(index))
    let shortfall = nature.uniform()
    let dialect = StreamDialect(
      framesWithEmptyChunks: nature.uniform() < 0.3, sendsDone: nature.uniform() < 0.5,
      splitsCharacters: nature.uniform() < 0.2)
    var minerType: String?
    if subnet.hasMinerTypes { minerType = index % 5 < 3 ? "text" : "image" }
    let served = tasks.filter { task in minerType.map { ($0 == "text") == (task.kind == .text) } ?? true }
    return MinerBehaviour(
      hotkey: hotkey(using: &identity), uid: index, seed: identity.next(),
      quality: 1 - 0.4 * shortfall * shortfall, dialect: dialect,
      hardware: hardware(
        tasks: served, periodSeconds: subnet.profile.periodSeconds, seed: seed, index: index),
      profilePeriodSeconds: subnet.profile.periodSeconds, minerType: minerType)
  }

  /// Sustained capacity is 10 to 90 % of the most that counts, so that no honest claim is clamped. The
  /// speed of a single request is drawn apart: a small miner is not a slow one.
  private static func hardware(
    tasks: [TaskConfig], periodSeconds: Int, seed: UInt64, index: Int
  ) -> [String: TaskHardware] {
    var result: [String: TaskHardware] = [:]
    var machine = SeededRandom(seed: seed, "machine", String(index))
    let size = 0.1 + 0.8 * machine.uniform()
    let speed = 0.6 + 0.8 * machine.uniform()
    for task in tasks {
      var random = SeededRandom(seed: seed, "hardware", String(index), task.name)
      let share = min(0.95, size * (0.8 + 0.4 * random.uniform()))
      let isText = task.kind == .text
      result[task.name] = TaskHardware(
        volumePerSecond: share * task.maxCapacity / Double(periodSeconds),
        unitsPerSecond: (isText ? 80 : 12) * speed,
        firstMilliseconds: Int((isText ? 120 : 60) / speed * (0.5 + random.uniform())),
        inFlightMax: 4 + random.below(29))
    }
    return result
  }

  /// A name of the form of a hotkey: `5` and 47 characters of base 58.
  static func hotkey(using random: inout SeededRandom) -> String {
    let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
    return "5" + String((0..<47).map { _ in alphabet[random.below(alphabet.count)] })
  }
}
