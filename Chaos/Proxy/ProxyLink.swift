import Common
import Glibc

/// One connection of a program through a proxy to Redis.
@IO
final class ProxyLink {
  /// Takes all that comes and passes nothing on.
  var isDeaf = false
  /// Whether a replica or a Sentinel speaks: the first begins with a bare `PING`, the other names itself.
  private(set) var isPeer = false
  private var hasSpoken = false

  private let proxy: RedisProxy
  private var toRedis: ProxyPipe?
  private var toProgram: ProxyPipe?
  private var commands: [UInt8] = []
  private var replies: [UInt8] = []
  /// What is to happen at the reply of each command that is under way.
  private var awaited: [Awaited] = []

  private struct Awaited {
    var action: ProxyAction
    /// The script whose digest the reply brings.
    var script: String?
  }

  /// Connects to Redis; nil, with the client closed, when it cannot be reached.
  init?(client: Int32, proxy: RedisProxy) {
    self.proxy = proxy
    let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) {
      $0.copyBytes(from: proxy.upstream.utf8.prefix($0.count - 1))
    }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard code == 0 else {
      Glibc.close(server)
      Glibc.close(client)
      return nil
    }
    for fd in [client, server] { _ = fcntl(fd, F_SETFL, O_NONBLOCK) }
    var one: Int32 = 1
    setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    let toRedis = ProxyPipe(server)
    let toProgram = ProxyPipe(client)
    toProgram.onRead = { [weak self] bytes in self?.fromProgram(bytes) }
    toRedis.onRead = { [weak self] bytes in self?.fromRedis(bytes) }
    for pipe in [toRedis, toProgram] { pipe.onEnd = { [weak self] in self?.close() } }
    (self.toRedis, self.toProgram) = (toRedis, toProgram)
  }

  /// Resets both sides.
  func close() {
    toRedis?.close()
    toProgram?.close()
    (toRedis, toProgram) = (nil, nil)
    proxy.forget(self)
  }

  private func fromProgram(_ bytes: ArraySlice<UInt8>) {
    if !hasSpoken {
      hasSpoken = true
      let text = String(decoding: bytes.prefix(200), as: UTF8.self)
      isPeer = text.hasPrefix("*1\r\n$4\r\nPING\r\n") || text.contains("\r\nsentinel-")
      if isPeer, proxy.rules.cutsPeers { isDeaf = true }
    }
    guard !isDeaf else { return }
    guard proxy.onCommand != nil || proxy.isOtherVersion else { return send(Array(bytes), to: toRedis) }
    commands += bytes
    var start = 0
    while let end = RESP.end(of: commands, from: start) {
      guard take(commands[start..<end]) else { return }
      start = end
    }
    commands.removeFirst(start)
  }

  /// Passes one command on. False when the connection is gone.
  private func take(_ command: ArraySlice<UInt8>) -> Bool {
    let words = RESP.words(command, limit: 3).map { String(decoding: $0, as: UTF8.self) }
    let verb = (words.first ?? "").uppercased()
    var script: String?
    var kind = verb
    switch verb {
    case "SCRIPT" where words.count > 2:
      script = ProxyLink.scriptName(words[2])
      kind = "SCRIPT"
    case "EVALSHA" where words.count > 1: kind = proxy.scripts[words[1]] ?? verb
    case "EVAL" where words.count > 1: kind = ProxyLink.scriptName(words[1]) ?? verb
    default: break
    }
    let action = proxy.onCommand?(ProxyCommand(kind: kind)) ?? .pass
    if case .strikeBefore = action {
      proxy.onStrike?()
      close()
      return false
    }
    awaited.append(Awaited(action: action, script: script))
    let isText = proxy.isOtherVersion && (script != nil || verb == "EVAL")
    send(isText ? ProxyLink.otherVersion(command, text: verb == "EVAL" ? 1 : 2) : Array(command), to: toRedis)
    return toRedis != nil
  }

  /// The same command with a line more in its script, which is the word number `text`.
  private static func otherVersion(_ command: ArraySlice<UInt8>, text: Int) -> [UInt8] {
    var words = RESP.words(command, limit: .max).map(Array.init)
    guard words.indices.contains(text) else { return Array(command) }
    words[text] += Array("\n-- of another version\n".utf8)
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
    return bytes
  }

  /// The name that stands at the head of a script of ours.
  private static func scriptName(_ text: String) -> String? {
    text.firstMatch(of: #/\n-- ([a-z_]+): /#).map { String($0.1) }
  }

  private func fromRedis(_ bytes: ArraySlice<UInt8>) {
    guard !isDeaf else { return }
    guard !awaited.isEmpty || !replies.isEmpty else { return send(Array(bytes), to: toProgram) }
    replies += bytes
    var start = 0
    while !awaited.isEmpty, let end = RESP.end(of: replies, from: start) {
      let reply = replies[start..<end]
      let next = awaited.removeFirst()
      if let script = next.script, reply.count > 40 {
        proxy.scripts[String(decoding: reply.dropLast(2).suffix(40), as: UTF8.self)] = script
      }
      switch next.action {
      case .pass, .strikeBefore: send(Array(reply), to: toProgram)
      case .half:
        send(Array(reply.prefix(reply.count / 2)), to: toProgram)
        fallthrough
      case .strikeAfter:
        proxy.onStrike?()
        return close()
      }
      start = end
    }
    replies.removeFirst(start)
  }

  private func send(_ bytes: [UInt8], to pipe: ProxyPipe?) {
    if proxy.rules.resetShare > 0, proxy.random.uniform() < proxy.rules.resetShare { return close() }
    let latency = proxy.rules.latencyMilliseconds
    let hold = latency > 0 ? proxy.random.below(2 * latency + 1) : 0
    pipe?.send(bytes, afterMilliseconds: hold, bytesPerSecond: proxy.rules.bytesPerSecond)
  }
}
