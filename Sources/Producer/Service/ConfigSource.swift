import Common
import Foundation

/// The task table; keeps the last good one. Edits apply to the next period that is planned.
@IO
public final class ConfigSource {
  private let path: String?
  private let log: Log
  private var lastProblem: String?
  /// The last good configuration.
  public private(set) var current: SubnetConfig

  /// A configuration that never changes.
  public init(_ config: SubnetConfig, log: Log = .shared) {
    current = config
    path = nil
    self.log = log
  }

  /// Reads a file.
  /// - Throws: `ProducerError`, so that a program does not start with a wrong configuration.
  public init(path: String, log: Log = .shared) throws(ProducerError) {
    self.path = path
    self.log = log
    do {
      current = try Self.read(path)
    } catch {
      throw ProducerError(Self.describe(error, path))
    }
  }

  /// Reads the file again. What is wrong is logged, once for each problem, and leaves the last good
  /// configuration in place.
  func reload() {
    guard let path else { return }
    do {
      current = try Self.read(path)
      lastProblem = nil
    } catch {
      let problem = Self.describe(error, path)
      guard problem != lastProblem else { return }
      lastProblem = problem
      log.error("wrong configuration: the last good one stays", ["error": problem])
    }
  }

  private static func read(_ path: String) throws -> SubnetConfig {
    try SubnetConfig(parsing: Data(contentsOf: URL(fileURLWithPath: path)))
  }

  private static func describe(_ error: any Error, _ path: String) -> String {
    let problem = error is ConfigError ? String(describing: error) : (error as NSError).localizedDescription
    return "\(path): \(problem)"
  }
}

/// Why the producer does not start.
public struct ProducerError: ExitCodeProviding, Equatable, CustomStringConvertible {
  /// One line for people.
  public let description: String

  init(_ description: String) { self.description = description }

  /// Nothing helps but a change of what the operator asked for.
  public var exitCode: ExitCode { .usage }
}
