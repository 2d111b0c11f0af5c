import CShims
import Glibc

/// A TCP port of 127.0.0.1 that belongs to this process. Until it is listened at it refuses connections. One that
/// the kernel chose is nobody else's meanwhile; a named one is shared with whoever names it too and listens first.
package struct LoopbackPort: Sendable {
  /// A port could not be had.
  package struct Failure: Error, CustomStringConvertible {
    package var operation: String
    package var port: Int
    /// The `errno` of the call that failed.
    package var code: Int32

    package var description: String {
      "\(operation) on 127.0.0.1:\(port): \(String(cString: strerror(code)))"
    }
  }

  /// The socket, which does not block.
  package let fd: Int32
  /// The port's number.
  package let number: Int

  /// Binds to a port; 0 lets the kernel choose one.
  package init(_ wanted: Int = 0) throws(Failure) {
    let fd = socket(AF_INET, vision_loop_socket, 0)
    guard fd >= 0 else { throw Failure(operation: "socket", port: wanted, code: errno) }
    // A named port is wanted again right after its last owner; the kernel would choose one twice that way.
    var reuse: Int32 = wanted == 0 ? 0 : 1
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(truncatingIfNeeded: wanted).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> Int32 in
        bind(fd, generic, length) == 0 && getsockname(fd, generic, &length) == 0 ? 0 : errno
      }
    }
    guard code == 0 else {
      Glibc.close(fd)
      throw Failure(operation: "bind", port: wanted, code: code)
    }
    self.fd = fd
    number = Int(in_port_t(bigEndian: address.sin_port))
  }

  /// From now on connections are taken, `backlog` of them before anybody accepts one.
  package func listen(backlog: Int32) throws(Failure) {
    guard Glibc.listen(fd, backlog) == 0 else {
      throw Failure(operation: "listen", port: number, code: errno)
    }
  }

  /// Gives the port back.
  package func close() { Glibc.close(fd) }

  /// The number of a port that nobody has just now: another program may still take it first.
  package static func free() throws(Failure) -> Int {
    let port = try LoopbackPort()
    port.close()
    return port.number
  }
}
