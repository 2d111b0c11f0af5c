import Common
import Foundation

/// All miners of one process, and the files that tell others about them.
@IO final class MinerFleet {
  let miners: [SimulatedMiner]
  private let population: Population

  /// Binds every miner: to `basePort` and the ports after it in the order of uid, or to ports of the
  /// kernel's choice. Throws ``LoopbackPort/Failure``.
  init(_ population: Population, basePort: Int?) throws {
    self.population = population
    let wheel = TickWheel()
    miners = try population.miners.map { miner in
      let port = basePort.map { $0 + miner.uid } ?? 0
      return try SimulatedMiner(miner, tasks: population.tasks, port: port, wheel: wheel)
    }
  }

  /// Begins to serve. Throws ``LoopbackPort/Failure``.
  func start() throws { for miner in miners { try miner.start() } }

  /// Closes everything.
  func stop() { for miner in miners { miner.stop() } }

  /// The roster file's contents, as the producer reads it. Stakes are equal.
  func roster(validatorHotkey: String) -> JSON {
    let records = miners.map { miner in
      JSON.object([
        "hotkey": .string(miner.behaviour.hotkey), "uid": .integer(miner.behaviour.uid),
        "address": .string("http://127.0.0.1:\(miner.port)"), "stake": .number(1000),
      ])
    }
    return .object([
      "version": .integer(1), "validator_hotkey": .string(validatorHotkey), "miners": .array(records),
    ])
  }
}

/// Files that other processes wait for.
enum HandOver {
  /// Writes `text` so that a reader sees all of it or nothing. Throws Foundation's errors.
  static func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  }
}
