import Dispatch
import Glibc

/// Replaces a file as a whole: whoever reads it sees the old content or the new one, also after a power cut.
enum WeightsFile {
  /// What could not be done, in one line.
  struct Failure: Error, CustomStringConvertible {
    let description: String

    /// Takes the reason from `errno`; called before anything else can change it.
    init(_ operation: String, _ path: String) {
      description = "cannot \(operation) \(path): \(String(cString: strerror(errno)))"
    }
  }

  /// Writes `bytes` beside the file and puts them in its place. Off the loop: a disk may be slow.
  static func replace(_ path: String, with bytes: [UInt8]) async throws(Failure) {
    let result: Result<Void, Failure> = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(returning: Result { () throws(Failure) in try write(bytes, to: path) })
      }
    }
    try result.get()
  }

  private static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
    let temporary = "\(path).\(getpid()).tmp"
    let fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard fd >= 0 else { throw Failure("make", temporary) }
    do throws(Failure) {
      defer { close(fd) }
      try write(bytes, to: fd, temporary)
      guard fsync(fd) == 0 else { throw Failure("sync", temporary) }
    } catch {
      unlink(temporary)
      throw error
    }
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

  private static func write(_ bytes: [UInt8], to fd: Int32, _ path: String) throws(Failure) {
    var position = 0
    while position < bytes.count {
      let count = bytes[position...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else { throw Failure("write", path) }
      position += max(0, count)
    }
  }
}
