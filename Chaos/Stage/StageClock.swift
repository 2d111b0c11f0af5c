import Foundation
import Glibc

/// A clock of its own for a program, by the library of `Chaos/Clock`.
final class StageClock {
  /// What the program is started with.
  let environment: [String: String]
  private let fd: Int32

  /// A clock that is right, told by the file at `path`.
  init(_ path: String) throws {
    let library = Stage.program("libvision-clock.so")
    guard FileManager.default.fileExists(atPath: library) else {
      throw ChaosFailure("libvision-clock.so is missing: run scripts/chaos, which builds it")
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard fd >= 0 else { throw ChaosFailure("\(path): \(String(cString: strerror(errno)))") }
    environment = ["LD_PRELOAD": library, "CHAOS_CLOCK_FILE": path]
    shift(milliseconds: 0)
  }

  deinit { close(fd) }

  /// From now on the program's date is off by so much.
  func shift(milliseconds: Int) {
    var value = milliseconds
    pwrite(fd, &value, MemoryLayout<Int>.size, 0)
  }
}
