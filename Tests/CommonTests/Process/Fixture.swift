import CShims
import Foundation
import Glibc
import Testing

@testable import Common

/// The program ``ProcessFixture`` while it runs, with its output line by line.
@IO
final class Fixture: ReadinessHandler {
  let child: ChildProcess
  private let fd: Int32
  private var registration: EventLoop.Registration?
  private var bytes: [UInt8] = []
  private var arrived = Signal()

  /// The program as it was built beside these tests.
  nonisolated static let program: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(filePath: own).deletingLastPathComponent().appending(path: "ProcessFixture").path()
  }()

  init(_ behaviour: String, arguments: [String] = []) throws {
    var ends: [Int32] = [-1, -1]
    try #require(vision_pipe(&ends) == 0)
    fd = ends[0]
    _ = fcntl(fd, F_SETFL, O_NONBLOCK)
    child = try ChildProcess(
      ChildCommand([Self.program, behaviour] + arguments), stdout: .descriptor(ends[1]), stderr: .discarded)
    close(ends[1])
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  /// Its next line, without the end; what is left when it ended.
  func line() async -> String {
    while true {
      if let end = bytes.firstIndex(of: 10) {
        defer { bytes.removeSubrange(...end) }
        return String(decoding: bytes[..<end], as: UTF8.self)
      }
      guard registration != nil else { return String(decoding: bytes, as: UTF8.self) }
      await arrived.wait()
    }
  }

  func fileIsReady(_ events: UInt32) {
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = read(fd, &chunk, chunk.count)
    if count > 0 {
      bytes += chunk[..<count]
    } else if let registration {
      self.registration = nil
      EventLoop.shared.unregister(registration)
      close(fd)
    }
    arrived.fire()
    arrived = Signal()
  }
}
