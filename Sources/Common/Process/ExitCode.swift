/// What a program of this project says to whoever started it. The numbers are part of its interface.
public enum ExitCode: Int32, Sendable {
  /// Did what it was asked to do, or drained and stopped when it was asked to stop.
  case ok = 0
  /// Ran and did not succeed; the last line on stderr says why.
  case failed = 1
  /// Was asked for something that makes no sense: a wrong setting, argument or input. Trying again
  /// without a change cannot help.
  case usage = 2
  /// Needs something that is not there, such as Redis. Trying again later can help.
  case unavailable = 3
  /// Was asked to stop and left its work unfinished: a demo at the first signal, a service at the second one; leases
  /// bring a service's work back.
  case interrupted = 130
}

/// An error that knows which exit code it means; any other error means ``ExitCode/failed``.
public protocol ExitCodeProviding: Error {
  /// The exit code of a program that ends with this error.
  var exitCode: ExitCode { get }
}
