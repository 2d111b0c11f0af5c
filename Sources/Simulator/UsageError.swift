import Common

/// What was asked for makes no sense; the text says why.
struct UsageError: ExitCodeProviding, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }

  var exitCode: ExitCode { .usage }
}
