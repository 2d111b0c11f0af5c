import Common
import Glibc

/// One side of a proxied connection: reads, and writes in order, each piece at its time.
@IO
final class ProxyPipe: ReadinessHandler {
  /// Called with what was read.
  var onRead: ((ArraySlice<UInt8>) -> Void)?
  /// Called once, when the other side is gone.
  var onEnd: (() -> Void)?

  private static var scratch = [UInt8](repeating: 0, count: 64 * 1024)
  private let fd: Int32
  private var registration: EventLoop.Registration?
  private var pending: [UInt8] = []
  private var waitsForRoom = false
  /// When the last piece that is held up leaves.
  private var lastDeparture = Monotonic(nanoseconds: 0)

  init(_ fd: Int32) {
    self.fd = fd
    registration = EventLoop.shared.register(fd, events: EventLoop.readable, handler: self)
  }

  func fileIsReady(_ events: UInt32) {
    if events & EventLoop.writable != 0 { flush() }
    guard registration != nil, events & (EventLoop.readable | EventLoop.failed) != 0 else { return }
    let count = ProxyPipe.scratch.withUnsafeMutableBytes { read(fd, $0.baseAddress, $0.count) }
    if count > 0 { return onRead?(ProxyPipe.scratch[..<count]) ?? () }
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    onEnd?()
  }

  /// Writes a piece after the ones before it, held up by so much and by the bandwidth.
  func send(_ bytes: [UInt8], afterMilliseconds hold: Int, bytesPerSecond: Int) {
    let now = Monotonic.now()
    guard hold > 0 || bytesPerSecond > 0 || lastDeparture > now else { return write(bytes) }
    var departure = max(now.advanced(milliseconds: hold), lastDeparture)
    if bytesPerSecond > 0 {
      departure = departure.advanced(milliseconds: bytes.count * 1000 / bytesPerSecond)
    }
    lastDeparture = departure
    _ = EventLoop.shared.at(departure) { [weak self] in self?.write(bytes) }
  }

  private func write(_ bytes: [UInt8]) {
    guard registration != nil else { return }
    pending += bytes
    flush()
  }

  private func flush() {
    guard let registration, !pending.isEmpty else { return }
    let sent = pending.withUnsafeBytes { Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    if sent < 0, errno != EAGAIN, errno != EINTR { return onEnd?() ?? () }
    if sent > 0 { pending.removeFirst(sent) }
    guard waitsForRoom != !pending.isEmpty else { return }
    waitsForRoom = !pending.isEmpty
    EventLoop.shared.modify(
      registration, events: waitsForRoom ? EventLoop.readable | EventLoop.writable : EventLoop.readable)
  }

  /// Resets the connection; what is held up is lost.
  func close() {
    guard let registration else { return }
    self.registration = nil
    (onRead, onEnd) = (nil, nil)
    EventLoop.shared.unregister(registration)
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    Glibc.close(fd)
  }
}
