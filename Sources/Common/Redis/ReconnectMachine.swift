/// When a client connects: pure, so that it can be tested without a server.
///
/// - `idle`: nobody asked yet. Can move to: `connecting`, `closed`.
/// - `connecting`: an attempt is under way or scheduled. Can move to: `connecting`, `ready`, `closed`.
/// - `ready`: a connection stands. Can move to: `connecting`, `closed`.
/// - `closed`: for good.
struct ReconnectMachine {
  /// What the driver is to do.
  enum Action: Equatable {
    case none
    case connect(at: Monotonic)
  }

  private enum State {
    case idle
    case connecting(failures: Int)
    case ready(since: Monotonic, failures: Int)
    case closed
  }

  /// The first wait after a failure is drawn from 0 to this; it doubles with each failure.
  static let backoffFirstMilliseconds = 50
  /// The longest range that a wait is drawn from.
  static let backoffMaxMilliseconds = 5_000
  /// A connection that ended sooner did not really succeed: whoever cuts one after the other is not answered
  /// with a storm of new ones.
  static let steadyMilliseconds = 1_000
  /// The longest range after connections that stood, but not for long.
  static let backoffUnsteadyMilliseconds = 2_500

  private var state = State.idle
  private let backoffMaxMilliseconds: Int
  private let backoffUnsteadyMilliseconds: Int

  init(
    backoffMaxMilliseconds: Int = ReconnectMachine.backoffMaxMilliseconds,
    backoffUnsteadyMilliseconds: Int = ReconnectMachine.backoffUnsteadyMilliseconds
  ) {
    self.backoffMaxMilliseconds = backoffMaxMilliseconds
    self.backoffUnsteadyMilliseconds = backoffUnsteadyMilliseconds
  }

  /// Somebody needs a connection.
  mutating func wanted(now: Monotonic) -> Action {
    switch state {
    case .idle:
      state = .connecting(failures: 0)
      return .connect(at: now)
    case .connecting, .ready, .closed: return .none
    }
  }

  /// An attempt did not succeed. `uniform` in [0, 1) draws the wait.
  mutating func failed(now: Monotonic, uniform: Double) -> Action {
    switch state {
    case .connecting(let failures):
      state = .connecting(failures: failures + 1)
      let range = min(backoffMaxMilliseconds, ReconnectMachine.backoffRangeMilliseconds(failures: failures))
      return .connect(at: now.advanced(milliseconds: Int(Double(range) * uniform)))
    case .idle, .ready, .closed: return .none
    }
  }

  /// An attempt succeeded.
  mutating func succeeded(now: Monotonic) {
    if case .connecting(let failures) = state { state = .ready(since: now, failures: failures) }
  }

  /// The connection ended. The first attempt to replace it waits, too, so that a server which accepts
  /// and closes at once is not hammered.
  mutating func ended(now: Monotonic, uniform: Double) -> Action {
    switch state {
    case .ready(let since, let failures):
      let isSteady = now.milliseconds(since: since) >= ReconnectMachine.steadyMilliseconds
      let next = isSteady ? 0 : failures
      state = .connecting(failures: next + 1)
      let range = min(
        ReconnectMachine.backoffRangeMilliseconds(failures: next), backoffMaxMilliseconds,
        backoffUnsteadyMilliseconds)
      return .connect(at: now.advanced(milliseconds: Int(Double(range) * uniform)))
    case .idle, .connecting, .closed: return .none
    }
  }

  /// No connection is wanted any more.
  mutating func close() { state = .closed }

  static func backoffRangeMilliseconds(failures: Int) -> Int {
    min(backoffMaxMilliseconds, backoffFirstMilliseconds << min(failures, 10))
  }
}
