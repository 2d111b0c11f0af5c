import Common

/// Runs a real worker under callgrind and says how many instructions it executed in all.
@IO
struct CountedWorker {
  /// The start alone takes seconds there, and the end writes the profile.
  private static let patienceMilliseconds = 60_000

  let scene: Scene
  private let callgrind: Callgrind
  private let startedAt: Monotonic

  /// Starts the worker of a scene.
  init(_ lab: Lab, _ scene: Scene, slots: Int) async throws {
    self.scene = scene
    callgrind = try await Callgrind(lab, program: "vision-workers")
    try await scene.startWorker(slots: slots, by: callgrind.command)
    startedAt = Monotonic.now()
  }

  /// Waits until the worker is this old.
  func fill(milliseconds: Int) async {
    let age = Monotonic.now().milliseconds(since: startedAt)
    await EventLoop.shared.sleep(milliseconds: max(0, milliseconds - age))
  }

  /// Ends the worker, when it is old enough.
  func end(atLeastMilliseconds: Int) async throws -> CountsWork.Life {
    let age = Monotonic.now().milliseconds(since: startedAt)
    await fill(milliseconds: atLeastMilliseconds)
    guard let worker = scene.worker, worker.status == nil else { throw BenchFailure("the worker ended") }
    let status = await worker.terminate(graceMilliseconds: CountedWorker.patienceMilliseconds)
    guard status == .exited(0) else { throw BenchFailure("under callgrind the worker ended: \(status)") }
    let total = try callgrind.total()
    try await scene.end()
    return CountsWork.Life(instructions: total, milliseconds: age)
  }
}
