import Common
import Foundation

/// Runs a real worker under callgrind and says how many instructions it executed in all.
@IO
struct CountedWorker {
  /// The start alone takes seconds there, and the end writes the profile.
  private static let patienceMilliseconds = 60_000

  let lab: Lab
  let scene: Scene
  private let profile: String
  private let startedAt: Monotonic

  /// Starts the worker of a scene. Dictionaries are laid out alike in every run, so that counts are too.
  init(_ lab: Lab, _ scene: Scene, slots: Int) async throws {
    self.lab = lab
    self.scene = scene
    profile = lab.file("callgrind")
    try await scene.startWorker(
      slots: slots,
      under: [
        "env", "SWIFT_DETERMINISTIC_HASHING=1", "valgrind", "--tool=callgrind", "--log-file=/dev/null",
        "--callgrind-out-file=" + profile,
      ])
    startedAt = Monotonic.now()
  }

  /// Waits until the worker is this old.
  func fill(milliseconds: Int) async {
    await EventLoop.shared.sleep(
      milliseconds: max(0, milliseconds - Monotonic.now().milliseconds(since: startedAt)))
  }

  /// Ends the worker, when it is old enough.
  func end(atLeastMilliseconds: Int) async throws -> CountsWork.Life {
    let age = Monotonic.now().milliseconds(since: startedAt)
    await fill(milliseconds: atLeastMilliseconds)
    guard let worker = scene.worker, worker.status == nil else { throw BenchFailure("the worker ended") }
    let status = await worker.terminate(graceMilliseconds: CountedWorker.patienceMilliseconds)
    guard status == .exited(0) else { throw BenchFailure("under callgrind the worker ended: \(status)") }
    let text = try String(contentsOfFile: profile, encoding: .utf8)
    let line = text.split(separator: "\n").last { $0.hasPrefix("totals:") || $0.hasPrefix("summary:") }
    guard let total = line?.split(separator: " ").last.flatMap({ Double($0) }) else {
      throw BenchFailure("callgrind wrote no total")
    }
    try await scene.end()
    return CountsWork.Life(instructions: total, milliseconds: age)
  }
}
