import Common
import Foundation
import Glibc

/// What a flood was asked and what it answered, line by line at the end of a file: evidence that whoever
/// judges the validator need not take from the validator. A request is named by its seed.
///
/// A line is `<Unix ms> miner <event> <seed> <tokens>`; the events are `began`, `ended` and, when the client
/// went away or a fault broke the answer off, `left`.
@IO final class FloodJournal {
  private let fd: Int32
  private static let mark = [UInt8]("\"seed\":".utf8)

  /// Opens the file, which is made if it is missing. Throws ``UsageError``.
  init(path: String) throws {
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw UsageError("journal \(path): \(String(cString: strerror(errno)))") }
  }

  /// Writes one line in one call, so that several processes can share the file.
  func note(_ event: String, seed: Int, tokens: Int) {
    let line = "\(WallClock.nowMilliseconds()) miner \(event) \(seed) \(tokens)\n"
    _ = Array(line.utf8).withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
  }

  /// The number after the last `"seed":` of a request; -1 without one.
  static func seed(of body: [UInt8]) -> Int {
    guard body.count > mark.count else { return -1 }
    for start in stride(from: body.count - mark.count, through: 0, by: -1)
    where body[start] == mark[0] && body[start..<start + mark.count].elementsEqual(mark) {
      let digits = body[(start + mark.count)...].drop { $0 == UInt8(ascii: " ") }
        .prefix { (48...57).contains($0) }
      return Int(String(decoding: digits, as: UTF8.self)) ?? -1
    }
    return -1
  }
}
