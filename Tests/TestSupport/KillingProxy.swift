import Common
import Foundation
import Glibc

/// Stands between a program and Redis, counts what the program sends, and kills it with SIGKILL at one of
/// its commands: before Redis gets it, or after Redis has done it and before the program hears so. What
/// the event loop sends in one turn counts as one.
public final class KillingProxy: Sendable {
  /// At which side of Redis the program dies.
  public enum Side: Sendable, CaseIterable {
    /// The command never arrives.
    case before
    /// The command is done, and its reply is lost.
    case after
  }

  private struct State {
    var left: Int
    var victim: Int32 = 0
    var isArmed = false
    var descriptors: [Int32] = []
  }

  /// Where the proxy listens.
  public let url: String
  private let path: String
  private let upstream: String
  private let side: Side
  private let listener: Int32
  private let lock = NSLock()
  // Touched with `lock` held alone. No `Mutex`: where it has to wait, the thread sanitizer does not see what it does.
  nonisolated(unsafe) private var state: State

  /// What a system call refused.
  public struct Failure: Error {
    /// The call.
    public var call: String
    /// Its `errno`.
    public var number = errno
  }

  /// A proxy in front of the Redis that listens at the socket `upstream`.
  /// - Parameter command: the number of the command, from 1, at which the program dies.
  public init(upstream: String, killsAt command: Int, _ side: Side) throws {
    path = NSTemporaryDirectory() + "/proxy-\(UInt32.random(in: 0 ... .max)).sock"
    url = "unix://" + path
    self.upstream = upstream
    self.side = side
    state = State(left: command)
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let bound = Self.withAddress(path) { bind(listener, $0, $1) }
    guard listener >= 0, bound == 0, listen(listener, 16) == 0 else { throw Failure(call: "bind") }
    Thread.detachNewThread { self.accept() }
  }

  /// Names the program. Nothing of it is forwarded before.
  public func watch(_ pid: Int32) { withState { $0.victim = pid } }

  private func withState<Result>(_ body: (inout State) -> Result) -> Result { lock.withLock { body(&state) } }

  /// Ends the proxy and its connections.
  public func close() {
    let descriptors = withState { state in
      state.isArmed = false
      return state.descriptors
    }
    for descriptor in descriptors + [listener] { shutdown(descriptor, Int32(SHUT_RDWR)) }
    unlink(path)
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      guard client >= 0 else { break }
      let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      guard Self.withAddress(upstream, { connect(server, $0, $1) }) == 0 else { break }
      withState { $0.descriptors += [client, server] }
      Thread.detachNewThread { Self.pump(client, server) { self.mayPassToRedis() } }
      Thread.detachNewThread { Self.pump(server, client) { self.mayPassToProgram() } }
    }
    Glibc.close(listener)
  }

  private static func pump(_ from: Int32, _ to: Int32, _ mayPass: () -> Bool) {
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(from, &buffer, buffer.count)
      guard count > 0, mayPass() else { break }
      var sent = 0
      while sent < count {
        let written = buffer.withUnsafeBytes { write(to, $0.baseAddress! + sent, count - sent) }
        guard written > 0 else { break }
        sent += written
      }
    }
    shutdown(to, Int32(SHUT_RDWR))
    shutdown(from, Int32(SHUT_RDWR))
  }

  private func mayPassToRedis() -> Bool {
    withState { state in
      state.left -= 1
      guard state.left == 0 else { return state.left > 0 }
      if side == .before { kill(state.victim, SIGKILL) } else { state.isArmed = true }
      return side == .after
    }
  }

  private func mayPassToProgram() -> Bool {
    withState { state in
      if state.isArmed { kill(state.victim, SIGKILL) }
      return !state.isArmed
    }
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
