import Common
import Foundation
import Glibc

/// The ledger outside of Redis: a file that only grows, to which users (asked, accepted, ended), miners
/// (began, ended), the plan and the faults each add their lines. The judge reads this file alone.
///
/// A line is `<Unix ms> <who> <event> …`; `who` is `user`, `miner`, `plan`, `ledger` (what an aggregator
/// would read, as it came), `final` (the same, read once more at the end) or `fault`.
@IO
final class Evidence {
  let path: String
  private let fd: Int32

  init(path: String) throws {
    self.path = path
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw ChaosFailure("\(path): \(String(cString: strerror(errno)))") }
  }

  /// Writes one line.
  func note(_ text: String, at milliseconds: Int = WallClock.nowMilliseconds()) {
    write("\(milliseconds) \(text)\n")
  }

  /// Writes many lines in one call.
  func note(_ texts: [String]) {
    let now = WallClock.nowMilliseconds()
    write(texts.map { "\(now) \($0)\n" }.joined())
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress! + sent, bytes.count - sent) }
      guard count > 0 else { return }
      sent += count
    }
  }

  func close() { Glibc.close(fd) }
}
