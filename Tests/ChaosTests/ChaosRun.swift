import Common
import Foundation
import TestSupport

/// One run of `vision-chaos` to its end.
struct ChaosRun {
  struct Figure {
    var promise: String
    var value: Double
    var unit: String
    var holds: Bool?
    var seed: Int
  }

  var code: Int32?
  var output: String
  var errors: String
  /// What it showed with `--json`.
  var figures: [Figure]

  @IO static func run(_ arguments: [String]) async throws -> ChaosRun {
    let result = try await ChildProcess.run(
      ChildCommand([BuiltProgram("vision-chaos").path] + arguments),
      limits: ChildLimits(stdoutMaxBytes: 1 << 20, stderrMaxBytes: 1 << 20, timeoutMilliseconds: 240_000))
    var code: Int32?
    if case .exited(let number) = result.status { code = number }
    let output = String(decoding: result.stdout, as: UTF8.self)
    return ChaosRun(
      code: code, output: output, errors: String(decoding: result.stderr, as: UTF8.self),
      figures: output.split(separator: "\n").compactMap(figure))
  }

  private static func figure(_ line: Substring) -> Figure? {
    guard let json = try? JSON(parsing: Data(line.utf8)), let promise = json["promise"]?.text else {
      return nil
    }
    var holds: Bool?
    if case .bool(let value)? = json["holds"] { holds = value }
    return Figure(
      promise: promise, value: json["value"]?.double ?? .nan, unit: json["unit"]?.text ?? "", holds: holds,
      seed: Int(json["seed"]?.double ?? 0))
  }
}
