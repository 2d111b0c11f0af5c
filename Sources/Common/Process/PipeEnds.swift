import Glibc

/// Collects what arrives at a pipe, up to a limit; beyond it bytes are read and forgotten, so that the
/// writer does not block.
@IO
final class PipeReader: ReadinessHandler {
  private(set) var bytes: [UInt8] = []
  private(set) var isOverfull = false
  private let fd: Int32
  private let maxBytes: Int
  private let overflowed: @IO () -> Void
  private var registration: EventLoop.Registration?

  /// Bytes taken by one read.
  private static let chunkBytes = 65_536

  /// Owns `fd`, which does not block. `overflowed` is called at the first byte beyond `maxBytes`.
  init(_ fd: Int32, maxBytes: Int, overflowed: @escaping @IO () -> Void) {
    self.fd = fd
    self.maxBytes = maxBytes
    self.overflowed = overflowed
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  func fileIsReady(_ events: UInt32) { if takeChunk() == .ended { close() } }

  /// Takes what already arrived, and closes. What comes later from a process that outlived its parent
  /// is not waited for.
  func finish() {
    // A pipe holds 1 MiB at most unless root says otherwise: bounded, even against a writer that keeps up.
    for _ in 0..<64 where registration != nil { if takeChunk() != .some { break } }
    close()
  }

  private enum Chunk { case some, nothingNow, ended }

  private func takeChunk() -> Chunk {
    let wasOverfull = isOverfull
    let chunk = withUnsafeTemporaryAllocation(byteCount: Self.chunkBytes, alignment: 16) { buffer -> Chunk in
      let count = read(fd, buffer.baseAddress, buffer.count)
      guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) ? .nothingNow : .ended }
      let kept = min(count, maxBytes - bytes.count)
      bytes.append(contentsOf: buffer[..<kept])
      if kept < count { isOverfull = true }
      return .some
    }
    if isOverfull, !wasOverfull { overflowed() }
    return chunk
  }

  private func close() {
    guard let registration else { return }
    self.registration = nil
    EventLoop.shared.unregister(registration)
    Glibc.close(fd)
  }
}

/// Writes bytes into a pipe as fast as they are taken, then closes it. A reader that goes away ends it.
@IO
final class PipeWriter: ReadinessHandler {
  private let fd: Int32
  private var rest: ArraySlice<UInt8>
  private var registration: EventLoop.Registration?

  /// Owns `fd`, which does not block.
  init(_ fd: Int32, _ bytes: [UInt8]) {
    self.fd = fd
    rest = bytes[...]
    registration = EventLoop.shared.register(fd, events: EventLoop.writable, handler: self)
    if bytes.isEmpty { finish() }
  }

  func fileIsReady(_ events: UInt32) {
    let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    rest = rest.dropFirst(max(0, count))
    // A negative count is a reader that went away: what it did not want is not an error of ours.
    if count < 0 || rest.isEmpty { finish() }
  }

  /// Closes the pipe.
  func finish() {
    guard let registration else { return }
    self.registration = nil
    EventLoop.shared.unregister(registration)
    close(fd)
  }
}
