import Common

/// A stretch of simulated time, ms.
struct Span {
  var from: Double
  var to: Double

  func contains(_ time: Double) -> Bool { from <= time && time < to }
}

/// What is wrong with a simulated miner, and when.
struct SimFault {
  enum Kind {
    /// Takes no connection: the connect timeout runs out.
    case unreachable
    /// Answers HTTP 500 at once.
    case errors
    /// Everything takes this many times as long.
    case slow(Double)
    /// Answers 429, and says for how long when a number of seconds is given.
    case rateLimits(retryAfterSeconds: Int?)
    /// A share of the answers stops after so many tokens, with the connection left open.
    case stalls(share: Double, afterTokens: Int)
    /// Tokens come this far apart, ms; the first one at once.
    case drips(Double)
    /// Answers are fast and wrong: a fifth of the time that an honest one takes.
    case wrong
  }

  var kind: Kind
  var spans: [Span]

  func isActive(at time: Double) -> Bool { spans.contains { $0.contains(time) } }
}

/// What a simulated miner can do. Times in ms.
struct SimMiner {
  var hotkey: String
  /// Requests that are worked on at the same time; as many more wait, the rest gets 429.
  var slots: Int
  /// Between two tokens when it is idle.
  var pace: Double
  /// To the first token when it is idle, without the way there and back.
  var first: Double
  /// The way there and back.
  var roundTrip: Double
  /// The hardware behind it: several hotkeys may share one.
  var backend: Int
  /// What it says that it can do, as a multiple of what it can.
  var claimFactor = 1.0
  var fault: SimFault?
  /// When it joins the roster.
  var joinsAt = 0.0
  /// How long its first requests take beside, while it loads its model.
  var coldUntil = 0.0

  /// By how much a full miner is slower than an idle one, in each token.
  static let crowding = 0.6

  /// Answers per second with all slots busy.
  var capacity: Double {
    let seconds = (first * 1.5 + SimRequest.meanTokens * pace * (1 + SimMiner.crowding)) / 1000
    return Double(slots) / seconds
  }

  /// What it declares, in answers per second.
  var declared: Double { capacity * claimFactor }

  /// Whether a request that begins now is likely lost, wrong, or too slow.
  func isBad(at time: Double) -> Bool { fault?.isActive(at: time) ?? false }
}

/// A user's request in the simulation.
final class SimRequest {
  static let meanTokens = 150.0

  let id: Int
  let arrivedAt: Double
  let tokens: Int
  /// The worker that serves it.
  let worker: Int
  /// Miners that were asked, in order.
  var tried: [Int] = []
  var active: [SimAttempt] = []
  var firstAt: Double?
  /// What the policy keeps for this request.
  var plan: [Int]?
  var isOver = false

  init(id: Int, arrivedAt: Double, tokens: Int, worker: Int) {
    self.id = id
    self.arrivedAt = arrivedAt
    self.tokens = tokens
    self.worker = worker
  }
}

/// One request at one miner.
final class SimAttempt {
  enum Phase { case waiting, running, over }

  /// nil for a synthetic.
  let request: SimRequest?
  let miner: Int
  let worker: Int
  let tokens: Int
  let startedAt: Double
  var random: SeededRandom
  var phase = Phase.waiting
  var firstAt: Double?
  /// Between two tokens.
  var pace = 1.0
  /// It stops after this many tokens.
  var tokensMax = Int.max
  var isWrong = false
  /// When it will have been served, if nothing goes wrong.
  var expectedEnd = 0.0

  init(request: SimRequest?, miner: Int, worker: Int, tokens: Int, startedAt: Double, random: SeededRandom) {
    self.request = request
    self.miner = miner
    self.worker = worker
    self.tokens = tokens
    self.startedAt = startedAt
    self.random = random
  }

  /// Tokens sent until `time`.
  func sent(at time: Double) -> Int {
    guard let firstAt, time >= firstAt else { return 0 }
    return min(tokens, tokensMax, 1 + Int((time - firstAt) / pace))
  }
}
