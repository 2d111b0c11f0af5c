import Common
import Foundation

/// What one run came to.
struct SimFigures {
  /// The user is served well when the first token comes within this time, ms, …
  static let firstMax = 2_000.0
  /// … and the tokens follow within this time of each other on average, ms.
  static let paceMax = 100.0

  private let miners: [SimMiner]
  private var requests = 0
  private var good = 0
  private var attempts = 0
  private var badAttempts = 0
  private var firstTimes: [Double] = []
  private var usefulTokens = 0
  private var wastedTokens = 0
  private var served: [Double]

  init(_ scenario: SimScenario) {
    miners = scenario.miners
    served = [Double](repeating: 0, count: scenario.miners.count)
  }

  private func counts(_ request: SimRequest) -> Bool { request.arrivedAt >= SimScenario.warmUp }

  mutating func asked(_ request: SimRequest, isBad: Bool) {
    guard counts(request) else { return }
    attempts += 1
    if isBad { badAttempts += 1 }
  }

  mutating func ended(_ attempt: SimAttempt, _ outcome: Outcome, at time: Double) {
    guard let request = attempt.request, counts(request) else { return }
    let tokens = attempt.sent(at: time)
    if outcome == .ok, !attempt.isWrong {
      usefulTokens += tokens
      served[attempt.miner] += Double(tokens)
    } else {
      wastedTokens += tokens
    }
  }

  mutating func finished(_ request: SimRequest, isGood: Bool) {
    guard counts(request) else { return }
    requests += 1
    if isGood { good += 1 }
    if let first = request.firstAt { firstTimes.append(first - request.arrivedAt) }
  }

  /// The figures by name, in the order of `SimFigure.allCases`.
  func values() -> [Double] {
    let sorted = firstTimes.sorted()
    func quantile(_ share: Double) -> Double {
      sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
    return [
      100 * Double(good) / Double(max(1, requests)), quantile(0.5), quantile(0.95), quantile(0.99),
      100 * Double(wastedTokens) / Double(max(1, usefulTokens)),
      Double(attempts) / Double(max(1, requests)), 100 * Double(badAttempts) / Double(max(1, attempts)),
      fairness(),
    ]
  }

  /// Jain's index of what honest miners served by what they can: 1 when all are used alike.
  private func fairness() -> Double {
    let shares = miners.indices.filter { miners[$0].fault == nil }.map { served[$0] / miners[$0].capacity }
    let squares = shares.reduce(0) { $0 + $1 * $1 }
    guard squares > 0 else { return .nan }
    return pow(shares.reduce(0, +), 2) / (Double(shares.count) * squares)
  }
}

/// The figures of a run.
enum SimFigure: Int, CaseIterable {
  case goodput, p50, p95, p99, wasted, amplification, bad, fairness

  var name: String {
    switch self {
    case .goodput: "goodput"
    case .p50: "first_p50"
    case .p95: "first_p95"
    case .p99: "first_p99"
    case .wasted: "wasted"
    case .amplification: "attempts"
    case .bad: "to_bad"
    case .fairness: "fairness"
    }
  }

  var unit: String {
    switch self {
    case .goodput, .bad: "%"
    case .p50, .p95, .p99: "ms"
    case .wasted: "% tokens"
    case .amplification: "/request"
    case .fairness: "Jain"
    }
  }
}
