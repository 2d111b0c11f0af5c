import Glibc

/// A sign of life: a file whose age says when the loop last turned.
@IO
final class HealthFile {
  /// How often the file is touched.
  static let intervalMilliseconds = 5000

  private let path: String
  private let log: Log
  private var timer: LoopTimer?

  /// Touches the file now and at every interval until ``remove()``.
  init(path: String, log: Log) {
    self.path = path
    self.log = log
    touch()
  }

  private func touch() {
    let fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
    if fd < 0 || futimens(fd, nil) != 0 {
      log.warning("cannot touch the health file", ["path": path, "reason": String(cString: strerror(errno))])
    }
    if fd >= 0 { close(fd) }
    timer = EventLoop.shared.after(milliseconds: Self.intervalMilliseconds) { [weak self] in self?.touch() }
  }

  /// Stops and takes the file away.
  func remove() {
    timer?.cancel()
    timer = nil
    unlink(path)
  }
}
