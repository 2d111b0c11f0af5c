import CCurl
import Glibc

/// One of libcurl's descriptors on the event loop.
///
/// Between two requests on a connection libcurl says "remove", and "in" again with the next request. The
/// registration outlives that: a reused connection costs no `epoll_ctl`. It ends when libcurl closes the
/// socket (CURLOPT_CLOSESOCKETFUNCTION), or when an idle one has news, which can only be the server closing
/// it: reported again and again otherwise, since libcurl looks at idle connections only when it needs one.
///
/// Libcurl 7.88 closes some descriptors without telling: its resolver's wakeup pair, and sockets whose
/// connection (TLS included) was never completed. So "remove" is believed to be a pause only where a
/// response came in; anything else is forgotten at once, and watched anew should libcurl ask for it.
@IO
final class SocketWatch: ReadinessHandler {
  private unowned let client: HTTPClient
  let multi: CurlMulti
  private let fd: Int32
  /// What libcurl waits for; 0 while it does not care.
  private(set) var wanted: UInt32 = 0
  /// What epoll reports.
  private var armed: UInt32 = 0
  private var registration: EventLoop.Registration?

  init(client: HTTPClient, multi: CurlMulti, fd: Int32) {
    self.client = client
    self.multi = multi
    self.fd = fd
  }

  /// Libcurl waits for `events` from now on.
  func want(_ events: UInt32) {
    wanted = events
    guard let registration else {
      registration = EventLoop.shared.register(fd, events: events, handler: self)
      armed = events
      client.epollChanges += 1
      return
    }
    // Readable may stay armed unasked for; writable would be reported in every turn.
    guard armed != events, armed != events | EventLoop.readable else { return }
    armed = events
    EventLoop.shared.modify(registration, events: events)
    client.epollChanges += 1
  }

  /// Libcurl does not wait for the descriptor for now.
  func pause() {
    wanted = 0
    guard armed & EventLoop.writable != 0, let registration else { return }
    armed = EventLoop.readable
    EventLoop.shared.modify(registration, events: armed)
    client.epollChanges += 1
  }

  /// Takes the descriptor off the loop.
  func forget() {
    guard let registration else { return }
    EventLoop.shared.unregister(registration)
    self.registration = nil
    armed = 0
    client.epollChanges += 1
  }

  func fileIsReady(_ events: UInt32) {
    guard wanted != 0 else {
      forget()
      return
    }
    // A failed socket is reported as what libcurl waits for: it then reads or writes and finds out why,
    // where CURL_CSELECT_ERR would only say "select/poll returned error".
    let useful = events & EventLoop.failed != 0 ? wanted : events & wanted
    guard useful != 0 else {
      disarmUnwanted()
      return
    }
    var mask: Int32 = 0
    if useful & EventLoop.readable != 0 { mask |= CURL_CSELECT_IN }
    if useful & EventLoop.writable != 0 { mask |= CURL_CSELECT_OUT }
    multi.drive(fd, mask)
  }

  /// Drops what is armed beyond what libcurl waits for.
  private func disarmUnwanted() {
    guard let registration, armed != wanted else { return }
    armed = wanted
    EventLoop.shared.modify(registration, events: armed)
    client.epollChanges += 1
  }
}

// MARK: libcurl's callbacks

/// C callbacks know nothing of actors: they are called on the loop, from inside the client's own calls of
/// libcurl, and enter ``IO`` by its checked `assumeIsolated`.
private func client(_ pointer: UnsafeMutableRawPointer?) -> HTTPClient {
  Unmanaged<HTTPClient>.fromOpaque(pointer!).takeUnretainedValue()
}

private func multi(_ pointer: UnsafeMutableRawPointer?) -> CurlMulti {
  Unmanaged<CurlMulti>.fromOpaque(pointer!).takeUnretainedValue()
}

let socketCallback: vision_curl_socket_callback = { easy, fd, what, owner, _ in
  let multi = multi(owner)
  var pointer: UnsafeMutableRawPointer?
  if what == CURL_POLL_REMOVE { vision_curl_get_pointer(easy, CURLINFO_PRIVATE, &pointer) }
  // Libcurl's own handle, which closes idle connections, has no transfer.
  let transfer = pointer.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
  IO.assumeIsolated((multi, fd, what, transfer)) { $0.watch($1, $2, $3) }
  return 0
}

let timerCallback: vision_curl_timer_callback = { _, milliseconds, owner in
  let multi = multi(owner)
  IO.assumeIsolated((multi, milliseconds)) { $0.timerChanged(milliseconds: $1) }
  return 0
}

let openCallback: vision_curl_open_callback = { owner, _, address in
  let client = client(owner)
  guard let address else { return CURL_SOCKET_BAD }
  let (family, type, proto) = (address.pointee.family, address.pointee.socktype, address.pointee.protocol)
  let target = IPAddress(address)
  return IO.assumeIsolated {
    client.mayReach(target) ? client.openSocket(family, type, proto) : CURL_SOCKET_BAD
  }
}

let closeCallback: vision_curl_close_callback = { owner, fd in
  let client = client(owner)
  return IO.assumeIsolated { client.closeSocket(fd) }
}

/// Bytes for a transfer. Any other return value than their count makes libcurl end it.
private func received(
  _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ pointer: UnsafeMutableRawPointer?
) -> (Transfer, UnsafeRawBufferPointer) {
  (
    Unmanaged<Transfer>.fromOpaque(pointer!).takeUnretainedValue(),
    UnsafeRawBufferPointer(start: bytes, count: count)
  )
}

let headerCallback: vision_curl_data_callback = { bytes, size, count, pointer in
  let goesOn = IO.assumeIsolated(received(bytes, size * count, pointer)) { $0.receivedHeader($1) }
  return goesOn ? size * count : Int(CURL_WRITEFUNC_ERROR)
}

let bodyCallback: vision_curl_data_callback = { bytes, size, count, pointer in
  let goesOn = IO.assumeIsolated(received(bytes, size * count, pointer)) { $0.receivedBody($1) }
  return goesOn ? size * count : Int(CURL_WRITEFUNC_ERROR)
}

// MARK: sockets

extension HTTPClient {
  /// What a part of libcurl waits for at a descriptor.
  func watch(_ fd: Int32, _ what: Int32, _ transfer: Transfer?, for multi: CurlMulti) {
    switch what {
    case CURL_POLL_IN: watch(at: fd, multi).want(EventLoop.readable)
    case CURL_POLL_OUT: watch(at: fd, multi).want(EventLoop.writable)
    case CURL_POLL_INOUT: watch(at: fd, multi).want(EventLoop.readable | EventLoop.writable)
    default:
      if transfer?.hasResponse ?? false {
        existingWatch(fd)?.pause()
      } else {
        forgetWatch(fd)
      }
    }
  }

  private func existingWatch(_ fd: Int32) -> SocketWatch? {
    watches.indices.contains(Int(fd)) ? watches[Int(fd)] : nil
  }

  private func watch(at fd: Int32, _ multi: CurlMulti) -> SocketWatch {
    if let watch = existingWatch(fd) {
      if watch.multi === multi { return watch }
      // Another part of libcurl closed its descriptor without telling, and the number is in use again.
      forgetWatch(fd)
    }
    while watches.count <= Int(fd) { watches.append(nil) }
    let watch = SocketWatch(client: self, multi: multi, fd: fd)
    watches[Int(fd)] = watch
    watchCount += 1
    multi.connectionCount += 1
    return watch
  }

  @discardableResult
  private func forgetWatch(_ fd: Int32) -> SocketWatch? {
    guard let watch = existingWatch(fd) else { return nil }
    watch.forget()
    watches[Int(fd)] = nil
    watchCount -= 1
    watch.multi.connectionCount -= 1
    return watch
  }

  /// Whether the policy lets us connect to an address. Here, where libcurl is about to connect, and not where
  /// the URL is read: a name may stand for any address, and for another one each time it is asked for.
  fileprivate func mayReach(_ address: IPAddress?) -> Bool {
    address.map { configuration.networks.permits($0) } ?? false
  }

  /// CURLOPT_OPENSOCKETFUNCTION.
  fileprivate func openSocket(_ family: Int32, _ type: Int32, _ proto: Int32) -> Int32 {
    let fd = socket(family, type | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), proto)
    guard fd >= 0 else { return CURL_SOCKET_BAD }
    // A number that is still watched: libcurl has just closed a failed attempt without telling, and takes
    // the new socket of the same number for one that it asked us to watch already.
    if let stale = forgetWatch(fd), stale.wanted != 0, stale.multi === driven {
      watch(at: fd, stale.multi).want(stale.wanted)
    }
    return fd
  }

  /// CURLOPT_CLOSESOCKETFUNCTION.
  fileprivate func closeSocket(_ fd: Int32) -> Int32 {
    forgetWatch(fd)
    return Glibc.close(fd)
  }
}

extension IPAddress {
  /// The address that libcurl wants to connect to; nil when it is of another family.
  init?(_ address: UnsafePointer<curl_sockaddr>) {
    // The struct ends with a `sockaddr`, and what is behind it in memory belongs to the longer ones.
    guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return nil }
    let socket = UnsafeRawPointer(address).advanced(by: offset)
    switch address.pointee.family {
    case AF_INET:
      let four = socket.loadUnaligned(as: sockaddr_in.self)
      self.init(v4: UInt32(bigEndian: four.sin_addr.s_addr))
    case AF_INET6:
      let six = socket.loadUnaligned(as: sockaddr_in6.self).sin6_addr
      self.init(bytes: withUnsafeBytes(of: six) { Array($0) })
    default: return nil
    }
  }
}
