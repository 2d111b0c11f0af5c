import Foundation
import Glibc
import Testing

@testable import Common

@Suite("The health file")
struct HealthFileTests {
  /// A program that is healthy or not, and counts how often it is asked.
  @IO private final class Patient {
    var isHealthy = true
    var looks = 0

    /// Waits until it was asked so much more often.
    func wait(looks more: Int) async {
      let wanted = looks + more
      while looks < wanted { await EventLoop.shared.sleep(milliseconds: 1) }
    }
  }

  @Test(
    "is left to age while the program is not healthy, and touched again when it is", .timeLimit(.minutes(1)))
  @IO func ages() async throws {
    let path = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
    let patient = Patient()
    let log = Log(now: { 0 }, write: { _ in })
    let file = HealthFile(path: path, log: log, intervalMilliseconds: 1) {
      patient.looks += 1
      return patient.isHealthy
    }
    defer { file.remove() }
    patient.isHealthy = false
    await patient.wait(looks: 1)
    try age(path)
    await patient.wait(looks: 3)
    #expect(try changedAt(path) == 1)
    patient.isHealthy = true
    await patient.wait(looks: 3)
    #expect(try changedAt(path) > 1)
  }

  /// Makes a file as old as can be.
  private func age(_ path: String) throws {
    var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    try #require(utimensat(AT_FDCWD, path, &times, 0) == 0)
  }

  private func changedAt(_ path: String) throws -> Int {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mtim.tv_sec
  }
}
