import Glibc

/// A sign of life: a file whose age says when the loop last turned and the program did its work.
@IO
final class HealthFile {
  /// How often the file is touched.
  static let intervalMilliseconds = 5000

  private let path: String
  private let intervalMilliseconds: Int
  private let log: Log
  private let isHealthy: @IO () -> Bool
  private var wasHealthy = true
  private var timer: LoopTimer?

  /// Touches the file now and at every interval until ``remove()``, as long as the program is healthy.
  init(
    path: String, log: Log, intervalMilliseconds: Int = HealthFile.intervalMilliseconds,
    isHealthy: @escaping @IO () -> Bool
  ) {
    self.path = path
    self.intervalMilliseconds = intervalMilliseconds
    self.log = log
    self.isHealthy = isHealthy
    beat()
  }

  private func beat() {
    let isHealthy = isHealthy()
    if isHealthy { touch() } else if wasHealthy { log.error("unhealthy: the health file is left to age") }
    wasHealthy = isHealthy
    timer = EventLoop.shared.after(milliseconds: intervalMilliseconds) { [weak self] in self?.beat() }
  }

  private func touch() {
    let fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
    if fd < 0 || futimens(fd, nil) != 0 {
      log.warning("cannot touch the health file", ["path": path, "reason": String(cString: strerror(errno))])
    }
    if fd >= 0 { close(fd) }
  }

  /// Stops and takes the file away.
  func remove() {
    timer?.cancel()
    timer = nil
    unlink(path)
  }
}
