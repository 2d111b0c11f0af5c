import Common

/// A user's request on its way: what all its attempts share.
@IO
final class OrganicServing {
  let period: LoadedPeriod
  let taskIndex: Int
  /// What the user asks for; nil once the user saw any of an answer: no other miner is asked then.
  var request: UserRequest?
  let reply: ReplyWriter.Reply
  /// Attempts that ended, in the order of the ledger.
  var attempts: [SettledAttempt] = []
  /// Hotkeys of the miners that were asked.
  var tried: [String] = []
  /// What the latest attempt came to, and its miner.
  var last: AttemptResult?
  var uid: Int?
  /// What a checking server may be shown.
  var sample: Sample?

  init(period: LoadedPeriod, taskIndex: Int, request: UserRequest, reply: ReplyWriter.Reply) {
    self.period = period
    self.taskIndex = taskIndex
    self.request = request
    self.reply = reply
  }
}

/// What a user asks for. An object of its own, since it may be long and is given up before the rest.
@IO
final class UserRequest {
  let parameters: QueryParameters

  init(_ parameters: QueryParameters) { self.parameters = parameters }
}

/// Attempts for one request that run beside each other: the first one with content is the answer, and the
/// others are given up.
@IO
final class OrganicRace {
  let reply: ReplyWriter.Reply
  private var runs: [AttemptRun] = []
  private var winner: AttemptRun?
  /// Attempts that have not ended.
  private var underWay = 0
  private var ends: [AttemptEnd] = []
  private var whenEnded: (([AttemptEnd]) -> Void)?
  /// Fires when a silent miner is to get company.
  var hedge: LoopTimer?

  /// - Parameter ended: called once, when all attempts that took part ended, with how.
  init(reply: ReplyWriter.Reply, ended: @escaping ([AttemptEnd]) -> Void) {
    self.reply = reply
    whenEnded = ended
  }

  /// Whether another attempt makes sense: no content came, and none of them ended.
  var isOpen: Bool { winner == nil && ends.isEmpty }

  /// An attempt takes part; `end(_:)` is told of its end.
  func begin() { underWay += 1 }

  /// Whom an attempt asks.
  func enter(_ run: AttemptRun) { runs.append(run) }

  /// An attempt ended.
  func end(_ end: AttemptEnd) {
    hedge?.cancel()
    hedge = nil
    underWay -= 1
    ends.append(end)
    guard underWay == 0 else { return }
    let ended = whenEnded
    whenEnded = nil
    ended?(ends)
  }

  /// The first content of an attempt came. Returns whether it is the answer.
  func claim(_ run: AttemptRun) -> Bool {
    if let winner { return winner === run }
    winner = run
    for other in runs where other !== run { other.cancel(as: .cancelled) }
    return true
  }
}

/// How one attempt ended.
@IO
final class AttemptEnd {
  let target: QueryHandler.Target
  let result: AttemptResult
  /// The request, where the answer may be checked; else empty.
  let body: [UInt8]

  init(target: QueryHandler.Target, result: AttemptResult, body: [UInt8]) {
    self.target = target
    self.result = result
    self.body = body
  }

  /// The attempt that decides how a user's request ended comes last: the one with content, else one that was
  /// ended from outside, for the user left or the worker stops.
  static func inOrder(_ ends: [AttemptEnd]) -> [AttemptEnd] { ends.sorted { $0.rank < $1.rank } }

  private var rank: Int {
    if result.firstContentMilliseconds != nil { return 2 }
    return result.outcome.counter == .none ? 1 : 0
  }
}
