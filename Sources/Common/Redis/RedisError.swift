/// Why a Redis operation did not give a reply.
public struct RedisError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure.
  public enum Code: String, Sendable {
    /// The address cannot be understood.
    case invalidAddress
    /// The server could not be reached, or refused the log-in.
    case cannotConnect
    /// No connection came about within the command's time limit. Nothing was sent.
    case unavailable
    /// The connection ended, or the reply did not come in time, after the command was sent: it may or
    /// may not have been executed. Scripts are built to be sent again.
    case outcomeUnknown
    /// The server is up but cannot take writes now (READONLY, LOADING, MASTERDOWN, NOREPLICAS,
    /// UNBLOCKED) or is held up by a script (BUSY): the connection was dropped, so that the next one goes to the right server.
    case notReady
    /// The server refuses writes that need memory.
    case outOfMemory
    /// The user may not do this (NOPERM).
    case notPermitted
    /// The server does not know the script.
    case noScript
    /// Any other error reply.
    case server
    /// The reply has another shape than the command's documented one.
    case unexpectedReply
    /// The client was closed.
    case closed
  }

  /// What kind of failure it is.
  public var code: Code
  /// What happened, in one line, without secrets.
  public var message: String

  /// Names a failure.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// Sorts an error reply by its first word.
  init(reply: String) {
    let word = reply.prefix { $0 != " " }
    switch word {
    case "NOSCRIPT": code = .noScript
    case "NOPERM": code = .notPermitted
    case "OOM": code = .outOfMemory
    case "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED", "BUSY": code = .notReady
    default: code = .server
    }
    message = reply
  }

  /// Whether the same operation can succeed later without anything being changed.
  public var isTransient: Bool {
    switch code {
    case .cannotConnect, .unavailable, .outcomeUnknown, .notReady: return true
    default: return false
    }
  }

  /// The code and the message.
  public var description: String { "\(code.rawValue): \(message)" }
}
