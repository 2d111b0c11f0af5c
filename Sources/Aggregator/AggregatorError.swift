import Common

/// Why an aggregator stops by itself. Trying again without a change cannot help.
public struct AggregatorError: ExitCodeProviding, Equatable, CustomStringConvertible {
  /// One line for people.
  public let description: String
  /// 1.
  public var exitCode: ExitCode { .failed }

  static func unreadableState(_ reason: String) -> AggregatorError {
    AggregatorError(
      description: "the saved state cannot be used, and nothing was changed: \(reason)")
  }
}

/// Why a session ends while the aggregator goes on: memory is dropped and the saved state read anew.
enum SessionEnd: String, Error, CustomStringConvertible {
  /// The role is held by somebody else.
  case lostRole = "the role was lost"
  /// Somebody else saved a state.
  case moved = "the saved state was changed by another process"

  var description: String { rawValue }
}
