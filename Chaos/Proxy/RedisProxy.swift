import Common
import Foundation
import Glibc

/// A TCP proxy in front of Redis that can be slow, deaf and cruel.
///
/// It listens on a port of 127.0.0.1, so that a reset is a real one, and passes on to Redis's socket.
@IO
final class RedisProxy: ReadinessHandler {
  /// Where it listens.
  let port: Int
  /// What programs are given as `--redis-url`.
  var url: String { "redis://127.0.0.1:\(port)" }
  /// What holds for all connections from now on.
  var rules = ProxyRules()
  /// Asked at each command, when it is set: commands and replies are then taken apart.
  var onCommand: ((ProxyCommand) -> ProxyAction)?
  /// Called at a strike, before the connection is reset.
  var onStrike: (() -> Void)?
  /// Changes the text of every script on its way, so that its digest is another one: workers behind this
  /// proxy are of another version than the others.
  var isOtherVersion = false
  /// Connections accepted so far.
  private(set) var accepted = 0

  let upstream: String
  /// Names of scripts by digest, learnt from `SCRIPT LOAD`.
  var scripts: [String: String] = [:]
  var random: SeededRandom
  private let fd: Int32
  private var registration: EventLoop.Registration?
  private var links: [ObjectIdentifier: ProxyLink] = [:]

  /// A proxy in front of the Redis at the socket `upstream`.
  init(upstream: String, seed: UInt64) throws {
    self.upstream = upstream
    random = SeededRandom(seed: seed, "proxy")
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(fd, $0, length) + listen(fd, 512) + getsockname(fd, $0, &length)
      }
    }
    guard fd >= 0, code == 0 else { throw ChaosFailure("cannot listen: \(String(cString: strerror(errno)))") }
    self.fd = fd
    port = Int(in_port_t(bigEndian: address.sin_port))
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  /// Accepts what waits.
  func fileIsReady(_ events: UInt32) {
    while true {
      let client = accept(fd, nil, nil)
      guard client >= 0 else { return }
      accepted += 1
      guard let link = ProxyLink(client: client, proxy: self) else { continue }
      links[ObjectIdentifier(link)] = link
      if rules.swallowsNew { link.isDeaf = true }
    }
  }

  func forget(_ link: ProxyLink) { links[ObjectIdentifier(link)] = nil }

  /// From now on nothing passes through the connections that exist, and nobody is told.
  func blackhole() { for link in links.values { link.isDeaf = true } }

  /// Cuts replicas and Sentinels off without a word, or lets them through again on new connections.
  func cutPeers(_ isCut: Bool) {
    rules.cutsPeers = isCut
    for link in Array(links.values) where link.isPeer {
      if isCut { link.isDeaf = true } else { link.close() }
    }
  }

  /// Resets every connection.
  func resetAll() { for link in Array(links.values) { link.close() } }

  /// Ends it.
  func close() {
    guard let registration else { return }
    self.registration = nil
    (onCommand, onStrike) = (nil, nil)
    EventLoop.shared.unregister(registration)
    Glibc.close(fd)
    resetAll()
  }
}
