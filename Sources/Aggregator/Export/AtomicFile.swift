import Dispatch
import Glibc

/// A file that takes the place of another as a whole: whoever reads it sees the old content or the new one,
/// also after a power cut.
public struct AtomicFile: Sendable {
  /// What could not be done, in one line.
  public struct Failure: Error, CustomStringConvertible {
    /// The operation, the path and the system's reason.
    public let description: String

    /// Names the reason.
    init(_ operation: String, _ path: String, reason: String) {
      description = "cannot \(operation) \(path): \(reason)"
    }

    /// Takes the reason from `errno`; called before anything else can change it.
    init(_ operation: String, _ path: String) {
      description = "cannot \(operation) \(path): \(String(cString: strerror(errno)))"
    }
  }

  /// The path that the content gets in the end.
  public let path: String
  private let temporary: String
  private let fd: Int32

  /// What the names of unfinished files end with.
  static let temporarySuffix = ".tmp"

  /// Begins a file beside `path`. To be ended by ``commit()`` or ``discard()``.
  public init(replacing path: String) throws(Failure) {
    self.path = path
    temporary = "\(path).\(getpid())\(Self.temporarySuffix)"
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw Failure("make", temporary) }
  }

  /// Adds bytes.
  public func write(_ bytes: [UInt8]) throws(Failure) {
    var position = 0
    while position < bytes.count {
      let count = bytes[position...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else { throw Failure("write", temporary) }
      position += max(0, count)
    }
  }

  /// Puts the file in its place, on disk. Whatever happens, nothing unfinished is left behind.
  public func commit() throws(Failure) {
    guard fsync(fd) == 0 else {
      let failure = Failure("sync", temporary)
      discard()
      throw failure
    }
    close(fd)
    guard rename(temporary, path) == 0 else {
      let failure = Failure("replace", path)
      unlink(temporary)
      throw failure
    }
    // The new name is on disk when its folder is.
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let folderFD = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folderFD >= 0 else { throw Failure("open", folder) }
    defer { close(folderFD) }
    guard fsync(folderFD) == 0 else { throw Failure("sync", folder) }
  }

  /// Gives the file up.
  public func discard() {
    close(fd)
    unlink(temporary)
  }
}

/// Work that would hold up the event loop: a disk may be slow.
enum OffLoop {
  /// Runs `body` on another thread.
  static func run<T: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> T
  ) async throws(Failure) -> T {
    let result: Result<T, Failure> = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(returning: Result { () throws(Failure) in try body() })
      }
    }
    return try result.get()
  }
}
