import Common
import Foundation

/// Events by time; of two at the same time the one that was added first.
struct SimHeap<Element> {
  private var items: [(at: Double, order: Int, element: Element)] = []
  private var added = 0

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (items[left].at, items[left].order) < (items[right].at, items[right].order)
  }

  mutating func push(_ element: Element, at time: Double) {
    added += 1
    items.append((time, added, element))
    var child = items.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> (at: Double, element: Element)? {
    guard let last = items.indices.last else { return nil }
    items.swapAt(0, last)
    let first = items.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < items.count && isBefore(child, least) {
        least = child
      }
      if least == parent { break }
      items.swapAt(parent, least)
      parent = least
    }
    return (first.at, first.element)
  }
}

/// Draws that SeededRandom does not have.
enum SimNoise {
  /// From the standard normal distribution (Box and Muller 1958).
  static func normal(_ random: inout SeededRandom) -> Double {
    let radius = (-2 * log(1 - random.uniform())).squareRoot()
    return radius * cos(2 * .pi * random.uniform())
  }
}

/// The checking server's queue: the answer of the miner with the fewest verdicts is judged next.
struct SimChecks {
  private static let waitingMax = 20
  private var waiting: [[Bool]]
  private var means: [(mean: Double, count: Int)]
  private var isBusy = false

  init(miners: Int) {
    waiting = [[Bool]](repeating: [], count: miners)
    means = [(mean: Double, count: Int)](repeating: (1, 0), count: miners)
  }

  mutating func add(_ attempt: SimAttempt) {
    waiting[attempt.miner].append(attempt.isWrong)
    if waiting[attempt.miner].count > SimChecks.waitingMax { waiting[attempt.miner].removeFirst() }
  }

  /// The answer to judge now; nil while the server is busy or nothing waits.
  mutating func begin() -> (miner: Int, isWrong: Bool)? {
    guard !isBusy else { return nil }
    let waitingMiners = waiting.indices.filter { !waiting[$0].isEmpty }
    guard let miner = waitingMiners.min(by: { means[$0].count < means[$1].count }) else { return nil }
    isBusy = true
    return (miner, waiting[miner].removeFirst())
  }

  /// A verdict; returns the running mean, of about the last eight.
  mutating func judged(_ miner: Int, score: Double) -> (mean: Double, count: Int) {
    isBusy = false
    let count = means[miner].count + 1
    let old = means[miner].count == 0 ? 0 : means[miner].mean
    means[miner] = (old + (score - old) / Double(min(count, 8)), count)
    return means[miner]
  }
}
