import Common
import Foundation
import Glibc

/// A TCP proxy in front of Redis that can be slow, deaf and cruel.
///
/// It listens on a port of 127.0.0.1, so that a reset is a real one, and passes on to Redis's socket.
@IO
final class RedisProxy: ReadinessHandler {
  /// Where it listens.
  var port: Int { socket.number }
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
  private let socket: LoopbackPort
  private var registration: EventLoop.Registration?
  private var links: [ObjectIdentifier: ProxyLink] = [:]

  /// A proxy in front of the Redis at the socket `upstream`.
  init(upstream: String, seed: UInt64) throws {
    self.upstream = upstream
    random = SeededRandom(seed: seed, "proxy")
    socket = try LoopbackPort()
    try socket.listen(backlog: 512)
    registration = EventLoop.shared.register(socket.fd, events: EventLoop.readable, handler: self)
  }

  /// Accepts what waits.
  func fileIsReady(_ events: UInt32) {
    while true {
      let client = accept(socket.fd, nil, nil)
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
    socket.close()
    resetAll()
  }
}
