import Common
import Foundation

/// A program of the package, as it was built beside the tests.
public struct BuiltProgram: Sendable {
  /// What a run of a program gave.
  public struct Outcome: Sendable {
    /// The exit code; nil when a signal ended it.
    public var code: Int32?
    /// What it wrote to stdout.
    public var output: String
    /// What it wrote to stderr.
    public var errors: String
  }

  /// Its file.
  public let path: String

  /// The program with this name.
  public init(_ name: String) {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    path = URL(filePath: own).deletingLastPathComponent().appending(path: name).path()
  }

  /// Runs it to its end with these environment variables beside the tests' own.
  @IO public func run(
    _ arguments: [String], adding variables: [String: String] = [:]
  ) async throws -> Outcome {
    try await BuiltProgram.run(ChildCommand([path] + arguments, adding: variables))
  }

  /// Runs any command to its end, 60 seconds at most.
  @IO public static func run(_ command: ChildCommand) async throws -> Outcome {
    let result = try await ChildProcess.run(
      command,
      limits: ChildLimits(stdoutMaxBytes: 1 << 20, stderrMaxBytes: 1 << 20, timeoutMilliseconds: 60_000))
    var code: Int32?
    if case .exited(let number) = result.status { code = number }
    return Outcome(
      code: code, output: String(decoding: result.stdout, as: UTF8.self),
      errors: String(decoding: result.stderr, as: UTF8.self))
  }
}
