@testable import Common

/// One step of the model test. Numbers name things loosely ("the third newest grant"), so that a sequence
/// still runs when steps before it are left out.
enum QueueOperation: Equatable {
  case submit(Int, task: Int, bytes: Int, allowed: Int)
  /// `isOld` repeats the worker's last request long after.
  case claim(Int, organics: Int, synthetics: Int, isOld: Bool)
  case append(grant: Int, ahead: Int, sizes: [Int])
  case settle(grant: Int, how: Int, attempts: Int, work: Int, sample: Int)
  case renew(Int)
  case release(grant: Int, delay: Int)
  case recover(limit: Int)
  case cancel(Int)
  case expire(limit: Int)
  case lead(Int, isKept: Bool)
  case open(Int, leader: Int)
  case schedule(Int, leader: Int, ahead: Int)
  case sweep(Int, leader: Int, limit: Int)
  case close(Int, leader: Int, isForced: Bool)
  case deregister(Int, leader: Int, miner: Int)
  case pause(Int, isPaused: Bool)
  case revive(Int, isDropped: Bool)
  case claimCheck(Int, tasks: Int, isOld: Bool)
  case noteCheck(grant: Int, isForgotten: Bool)
  case settleCheck(grant: Int, how: Int)
  /// Time passes; a negative one is a clock that was set back.
  case wait(Int)
  /// A worker's heartbeat ends.
  case die(Int)
  /// A worker took a marker and did nothing with it.
  case takeMarker(Int)
  /// Redis forgets the scripts.
  case flush
  /// Redis's memory is nearly full, or has room again.
  case memory(isShort: Bool)
  /// What anybody may ask where a request stands.
  case status(Int)
  /// A worker tells what it knows of the miners of some tasks.
  case route(Int, tasks: Int, isTold: Bool)
  /// An aggregator takes its role, or saves how far it read; `ahead` from another cursor than the saved one.
  case checkpoint(Int, ahead: Int, publishes: Int)
  case leadFold(Int, isKept: Bool)
}

/// A step, and whether its first reply was lost, so that it was sent again.
struct QueueStep: Equatable, CustomStringConvertible {
  var operation: QueueOperation
  var isRepeated: Bool
  var description: String { "\(operation)\(isRepeated ? ", and again" : "")" }
}

extension QueueStep {
  static let workers = ["w0", "w1", "w2"]
  private static let delays = [1, 999, 1_000, 20_000, 60_000, 60_001, 100_000, 150_001, 400_000]

  /// A random sequence; it begins with a planned period most of the time, so that there is something to do.
  static func sequence(_ random: inout SeededRandom) -> [QueueStep] {
    var steps: [QueueStep] = []
    if random.below(4) > 0 {
      steps = [.lead(0, isKept: true), .open(0, leader: 0)].map {
        QueueStep(operation: $0, isRepeated: false)
      }
      for _ in 0..<random.below(4) {
        steps.append(
          QueueStep(operation: .schedule(0, leader: 0, ahead: 0), isRepeated: random.below(4) == 0))
      }
    }
    for _ in 0..<(30 + random.below(30)) {
      steps.append(QueueStep(operation: any(&random), isRepeated: random.below(3) == 0))
    }
    return steps
  }

  private static func any(_ random: inout SeededRandom) -> QueueOperation {
    func n(_ count: Int) -> Int { random.below(count) }
    switch n(71) {
    case 0...7:
      return .submit(n(8), task: n(20) == 0 ? 2 : n(2), bytes: n(20), allowed: n(3) == 0 ? 1 + n(200_000) : 0)
    case 8...16: return .claim(n(3), organics: n(6), synthetics: n(4), isOld: n(8) == 0)
    case 17...20:
      let sizes = (0..<n(4)).map { _ in n(6) }
      return .append(grant: n(6), ahead: n(8) == 0 ? n(4) - 2 : 0, sizes: sizes)
    case 21...28:
      return .settle(
        grant: n(5), how: n(5), attempts: n(4), work: n(3) * 1_500, sample: n(2) == 0 ? 0 : 1 + n(30))
    case 29...31: return .renew(n(3))
    case 32...34: return .release(grant: n(5), delay: n(3) == 0 ? 500_000 : n(30_000))
    case 35...39: return .recover(limit: n(4) == 0 ? 1 : 100)
    case 40...41: return .cancel(n(9))
    case 42: return .expire(limit: 1 + n(3))
    case 43: return .lead(n(2), isKept: n(4) > 0)
    case 44: return .open(n(3), leader: n(2))
    case 45...47: return .schedule(n(3), leader: n(2), ahead: n(4) == 0 ? n(3) - 1 : 0)
    case 48: return .sweep(n(3), leader: n(2), limit: 1 + n(4))
    case 49: return .close(n(3), leader: n(2), isForced: n(2) == 0)
    case 50: return .deregister(n(3), leader: n(2), miner: n(3))
    case 51: return .pause(n(4), isPaused: n(2) == 0)
    case 52: return .revive(n(4), isDropped: n(2) == 0)
    case 53...54: return .claimCheck(n(3), tasks: n(4), isOld: n(6) == 0)
    case 55: return .noteCheck(grant: n(3), isForgotten: n(4) == 0)
    case 56...57: return .settleCheck(grant: n(3), how: n(3))
    case 58...61: return .wait(n(12) == 0 ? -delays[n(6)] : delays[n(delays.count)])
    case 62: return .die(n(3))
    case 63: return n(4) == 0 ? .flush : .takeMarker(n(3))
    case 64...65: return .memory(isShort: n(3) == 0)
    case 66: return .status(n(9))
    case 67: return .route(n(3), tasks: 1 + n(3), isTold: n(3) > 0)
    case 68: return .leadFold(n(2), isKept: n(4) > 0)
    default: return .checkpoint(n(2), ahead: n(6) == 0 ? 1 : 0, publishes: n(3))
    }
  }
}
