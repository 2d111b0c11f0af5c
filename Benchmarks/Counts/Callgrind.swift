import Common
import Foundation

/// A program's life under callgrind, and the instructions that it took.
@IO
struct Callgrind {
  private let profile: String
  /// What starts the program, its arguments not included.
  let command: [String]

  /// A program of the package. Dictionaries are laid out alike in every run, so that counts are too.
  init(_ lab: Lab, program: String) async throws {
    profile = lab.file("callgrind")
    // Valgrind 3.19 gives up on some of what the compiler writes about the source (DWARF 5).
    let copy = lab.file(program)
    let limits = ChildLimits(stdoutMaxBytes: 65_536, stderrMaxBytes: 65_536, timeoutMilliseconds: 30_000)
    let result = try await ChildProcess.run(
      ChildCommand(["objcopy", "--strip-debug", Lab.program(program), copy]), limits: limits)
    guard result.status.isSuccess else {
      throw BenchFailure("objcopy: \(String(decoding: result.stderr, as: UTF8.self))")
    }
    command = [
      "env", "SWIFT_DETERMINISTIC_HASHING=1", "valgrind", "--tool=callgrind", "--log-file=/dev/null",
      "--callgrind-out-file=" + profile, copy,
    ]
  }

  /// Instructions in all, when the program has ended.
  func total() throws -> Double {
    let text = try String(contentsOfFile: profile, encoding: .utf8)
    let line = text.split(separator: "\n").last { $0.hasPrefix("totals:") || $0.hasPrefix("summary:") }
    guard let total = line?.split(separator: " ").last.flatMap({ Double($0) }) else {
      throw BenchFailure("callgrind wrote no total")
    }
    return total
  }
}
