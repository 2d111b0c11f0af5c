/// The life of one check at one checking server: what to do next, decided without doing it.
///
/// The protocol is that of the checking server of rayonlabs/vision-workers
/// (`validator_orchestrator/app/checking/endpoints.py`): a check is posted, named by the server, asked for
/// until it is finished, and its verdict can be read once. A busy server answers with the name of
/// somebody else's check, which is not ours to read.
struct CheckMachine {
  /// What bounds a check.
  struct Limits: Equatable {
    /// Between two questions for a verdict.
    var pollMilliseconds = 3_000
    /// How long a busy server is left alone.
    var busyMilliseconds = 20_000
    /// How long a failing server is left alone the first time.
    var backoffMilliseconds = 60_000
    /// How often servers may try one check; then it has failed.
    var triesMax = 5
    /// Tries after which a check that made the checker fail is given up: it is likely to do so again.
    var crashTriesMax = 2
    /// Questions in a row that may bring no answer.
    var pollFailuresMax = 3
    /// How long a check may take, a switch of the model (20 minutes) included.
    var processingMilliseconds = 1_800_000
  }

  /// What the driver does next.
  enum Step: Equatable {
    /// Post the check.
    case post
    /// Write down the server's name for the check and how often it was tried; then ask after
    /// `pollMilliseconds`.
    case note(remoteID: String, tries: Int)
    /// Ask for the verdict after this time.
    case poll(afterMilliseconds: Int)
    /// The check ends here.
    case end(Ending)
  }

  /// How a check ends at this server.
  struct Ending: Equatable {
    /// What becomes of the check.
    var result: Result
    /// What that says about the server.
    var server: ServerHealth.Sign
    /// A few words for the log; empty when all went well.
    var reason = ""
  }

  /// What becomes of a check.
  enum Result: Equatable {
    /// It gets its one verdict.
    case settle(VerdictState)
    /// It waits again, for this time at least; the server's name for it is kept.
    case handBack(afterMilliseconds: Int)
    /// It waits again, and whoever takes it posts it anew.
    case startOver(afterMilliseconds: Int, tries: Int)
  }

  /// A verdict as the ledger has it.
  enum VerdictState: Equatable {
    /// The server gave a score.
    case judged(Double)
    /// The server could not judge.
    case unjudged
    /// The check failed for good.
    case failed
  }

  private enum State: Equatable {
    /// Not begun. Can move to: posting, polling.
    case idle
    /// The server has been sent the check. Can move to: polling, ended.
    case posting
    /// The server works on it. Can move to: posting (it lost the check), ended.
    case polling(polls: Int, failures: Int)
    /// Nothing more happens.
    case ended
  }

  private let limits: Limits
  private var state = State.idle
  /// How often servers have tried the check, earlier holders' tries included.
  private(set) var tries: Int

  /// A check that servers have tried `tries` times before.
  init(limits: Limits, tries: Int) {
    self.limits = limits
    self.tries = tries
  }

  /// Begins; `isKnown` when this server has named the check before.
  mutating func begin(isKnown: Bool) -> Step {
    precondition(state == .idle)
    if isKnown {
      state = .polling(polls: 0, failures: 0)
      return .poll(afterMilliseconds: 0)
    }
    return post()
  }

  /// The server answered the post, or did not.
  mutating func posted(_ answer: PostAnswer) -> Step {
    precondition(state == .posting)
    switch answer {
    case .accepted(let remoteID):
      tries += 1
      state = .polling(polls: 0, failures: 0)
      return .note(remoteID: remoteID, tries: tries)
    case .busy:
      return end(.handBack(afterMilliseconds: limits.busyMilliseconds), .busy)
    case .refused(let detail):
      return end(.settle(.failed), .troubled, "the server refused the check: " + detail)
    case .broken(let problem):
      // It may have been this check that broke the server: the try counts.
      tries += 1
      return retry(.failed, problem, max: limits.triesMax, afterMilliseconds: limits.pollMilliseconds)
    case .unreachable(let problem):
      return end(.handBack(afterMilliseconds: 0), .failed, problem)
    }
  }

  /// The server's name for the check was written down.
  mutating func noted() -> Step {
    guard case .polling = state else { preconditionFailure("noted without a post") }
    return .poll(afterMilliseconds: limits.pollMilliseconds)
  }

  /// The server answered a question for the verdict, or did not.
  mutating func polled(_ answer: PollAnswer) -> Step {
    guard case .polling(let polls, let failures) = state else { preconditionFailure("polled without a post") }
    switch answer {
    case .processing: return processing(polls + 1)
    case .judged(let score): return end(.settle(.judged(score)), .fine)
    case .unjudged(let reason): return end(.settle(.unjudged), .fine, reason)
    case .gone: return postAgain("the server does not know the check any more")
    case .crashed(let reason):
      return retry(.troubled, reason, max: limits.crashTriesMax, afterMilliseconds: patience)
    case .foreign(let reason):
      return retry(.troubled, reason, max: limits.triesMax, afterMilliseconds: patience)
    case .broken(let problem):
      // The answer may be lost, and with it the verdict: the next question will tell.
      guard failures + 1 >= limits.pollFailuresMax else { return pollAgain(polls, failures + 1) }
      return postAgain(problem)
    case .unreachable(let problem):
      guard failures + 1 >= limits.pollFailuresMax else { return pollAgain(polls, failures + 1) }
      return end(.handBack(afterMilliseconds: 0), .failed, problem)
    }
  }

  // MARK: moves

  private mutating func post() -> Step {
    state = .posting
    return .post
  }

  private mutating func postAgain(_ reason: String) -> Step {
    guard tries < limits.triesMax else { return end(.settle(.failed), .troubled, reason) }
    return post()
  }

  private mutating func pollAgain(_ polls: Int, _ failures: Int) -> Step {
    state = .polling(polls: polls + 1, failures: failures)
    return .poll(afterMilliseconds: limits.pollMilliseconds)
  }

  private mutating func processing(_ polls: Int) -> Step {
    guard polls * max(1, limits.pollMilliseconds) < limits.processingMilliseconds else {
      return retry(
        .failed, "the check does not end", max: limits.triesMax, afterMilliseconds: limits.pollMilliseconds)
    }
    state = .polling(polls: polls, failures: 0)
    return .poll(afterMilliseconds: limits.pollMilliseconds)
  }

  private mutating func retry(
    _ server: ServerHealth.Sign, _ reason: String, max: Int, afterMilliseconds: Int
  ) -> Step {
    guard tries < max else { return end(.settle(.failed), server, reason) }
    return end(.startOver(afterMilliseconds: afterMilliseconds, tries: tries), server, reason)
  }

  /// How long a check that went wrong waits, so that others go first.
  private var patience: Int { ServerHealth.backoff(tries, limits.backoffMilliseconds) }

  private mutating func end(
    _ result: Result, _ server: ServerHealth.Sign, _ reason: String = ""
  ) -> Step {
    state = .ended
    return .end(Ending(result: result, server: server, reason: reason))
  }
}
