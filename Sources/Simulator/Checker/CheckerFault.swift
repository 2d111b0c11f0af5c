import Common

/// A way in which checking servers are known to fail, or might.
enum CheckerFault: String, CaseIterable {
  /// A check is answered with Busy and the id of another client's finished check, which anyone can pop.
  case busyForeign = "busy-foreign"
  /// A finished check is popped, and the connection closes before its verdict is sent.
  case losesReply = "lose-reply"
  /// Status Failed, with neither error message nor traceback.
  case failsWithoutError = "failed-null-error"
  /// Status Success with `node_scores` `{}`: could not judge.
  case emptyScores = "empty-scores"
  /// Status Success with `node_scores` null.
  case nullScores = "null-scores"
  /// Status Success with a score for another node.
  case foreignNode = "foreign-node"
  /// Status Success with the score NaN, as Python writes it.
  case notANumber = "nan"
  /// The check is refused with 422.
  case unprocessable = "422"
  /// The check is accepted and then not known any more.
  case forgets = "404"
  /// The check takes ``CheckerSettings/slowMilliseconds``.
  case slow
  /// The check begins at once, and its post is answered after ``CheckerSettings/slowMilliseconds``.
  case slowPost = "slow-post"
}

/// How a checking server behaves.
struct CheckerSettings {
  var seed: UInt64 = 1
  var checkMilliseconds = 50
  var modelSwitchMilliseconds = 0
  var slowMilliseconds = 30_000
  /// The probability of each fault, per check. Together at most 1.
  var faults: [CheckerFault: Double] = [:]

  /// Reads `nan:0.1,lose-reply:0.2`; a fault without a number always happens. Throws ``UsageError``.
  static func faults(parsing text: String) throws(UsageError) -> [CheckerFault: Double] {
    var faults: [CheckerFault: Double] = [:]
    for part in text.split(separator: ",") {
      let pieces = part.split(separator: ":", maxSplits: 1)
      let share = pieces.count == 2 ? Double(pieces[1]) : 1
      guard let fault = CheckerFault(rawValue: String(pieces[0])), let share, (0...1).contains(share) else {
        let known = CheckerFault.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError("not a fault and its share: \(part); faults are \(known)")
      }
      faults[fault] = share
    }
    guard faults.values.reduce(0, +) <= 1.000_001 else {
      throw UsageError("the shares of all faults sum to more than 1")
    }
    return faults
  }

  /// The fault of check `number`, or nil.
  func fault(ofCheck number: Int) -> CheckerFault? {
    var random = SeededRandom(seed: seed, "fault", String(number))
    var left = random.uniform()
    for fault in CheckerFault.allCases {
      left -= faults[fault] ?? 0
      if left < 0 { return fault }
    }
    return nil
  }

  /// How long a check takes, in milliseconds.
  func milliseconds(fault: CheckerFault?, switchesModel: Bool) -> Int {
    (fault == .slow ? slowMilliseconds : checkMilliseconds) + (switchesModel ? modelSwitchMilliseconds : 0)
  }
}
