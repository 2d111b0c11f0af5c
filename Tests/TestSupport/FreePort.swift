import Glibc

/// Ports of this machine's own network for servers of tests.
public enum FreePort {
  /// A port that nobody has just now.
  public static func find() -> Int {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(fd) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(fd, generic, length) == 0 ? getsockname(fd, generic, &length) : -1
      }
    }
    precondition(code == 0, "the system has no port left")
    return Int(in_port_t(bigEndian: address.sin_port))
  }
}
