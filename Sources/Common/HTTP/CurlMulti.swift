import CCurl

/// One of libcurl's multi handles on the event loop: readiness events and one timer drive it
/// (`curl_multi_socket_action`, https://curl.se/libcurl/c/curl_multi_socket_action.html).
///
/// A client has several, and all connections to one server are in the same one: whenever a transfer ends,
/// `curl_multi_remove_handle` of libcurl 7.88 looks at every connection of its multi handle in turn
/// (`close_connect_only`), so with one handle the cost of a request would grow with the open streams.
@IO
final class CurlMulti {
  private unowned let client: HTTPClient
  /// libcurl's handle; nil once closed.
  private(set) var raw: UnsafeMutableRawPointer?
  /// Transfers that are under way here.
  var transferCount = 0
  /// Connections, in use or idle.
  var connectionCount = 0

  private var timer: LoopTimer?
  private var timerDeadline = Monotonic(nanoseconds: .max)
  /// When libcurl wants to be called; nil when it does not.
  private var curlDeadline: Monotonic?
  private var isKickScheduled = false

  /// Traps when there is no memory for it. The client outlives it, and closes it.
  init(client: HTTPClient) {
    guard let raw = curl_multi_init() else { preconditionFailure("no memory for libcurl") }
    self.client = client
    self.raw = raw
    // Released in close(), after curl_multi_cleanup made the last callback.
    let owner = Unmanaged.passRetained(self).toOpaque()
    vision_curl_multi_set_pointer(raw, CURLMOPT_SOCKETDATA, owner)
    vision_curl_multi_set_socket_callback(raw, socketCallback)
    vision_curl_multi_set_pointer(raw, CURLMOPT_TIMERDATA, owner)
    vision_curl_multi_set_timer_callback(raw, timerCallback)
    vision_curl_multi_set_long(raw, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
  }

  /// Closes every connection. All transfers were taken away before.
  func close() {
    guard let raw else { return }
    self.raw = nil
    curl_multi_cleanup(raw)
    timer?.cancel()
    timer = nil
    Unmanaged.passUnretained(self).release()
  }

  /// Most connections, those in use included. Setting it is one assignment.
  func limitConnections(_ most: Int) {
    guard let raw else { return }
    vision_curl_multi_set_long(raw, CURLMOPT_MAXCONNECTS, most)
  }

  /// Gives a transfer to libcurl; connecting begins at the end of the turn. Returns whether it was taken.
  func add(_ easy: EasyHandle) -> Bool {
    guard let raw else { return false }
    return curl_multi_add_handle(raw, easy.raw) == CURLM_OK
  }

  /// Takes a transfer from libcurl, which closes a connection that is in use.
  func remove(_ easy: EasyHandle) {
    guard let raw else { return }
    curl_multi_remove_handle(raw, easy.raw)
  }

  /// Tells libcurl about a descriptor, or with -1 that its time has come, and handles what came of it.
  func drive(_ fd: Int32, _ mask: Int32) {
    guard let raw else { return }
    var running: Int32 = 0
    client.enter(self)
    let code = curl_multi_socket_action(raw, fd, mask, &running)
    client.leave()
    precondition(code == CURLM_OK, "curl_multi_socket_action: \(code.rawValue)")
    collect()
    client.catchUp()
  }

  /// Ends the transfers that libcurl is done with.
  private func collect() {
    var remaining: Int32 = 0
    while let raw, let message = curl_multi_info_read(raw, &remaining) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
      // The message dies with curl_multi_remove_handle: read it first.
      let result = vision_curl_message_result(message)
      var pointer: UnsafeMutableRawPointer?
      vision_curl_get_pointer(easy, CURLINFO_PRIVATE, &pointer)
      let transfer = Unmanaged<Transfer>.fromOpaque(pointer!).takeUnretainedValue()
      transfer.reusedConnection = transfer.easy.long(CURLINFO_NUM_CONNECTS) == 0
      client.detach(transfer)
      transfer.end(result)
    }
  }

  // MARK: libcurl's callbacks

  /// CURLMOPT_SOCKETFUNCTION: what libcurl waits for at a descriptor.
  func watch(_ fd: Int32, _ what: Int32, _ transfer: Transfer?) {
    client.watch(fd, what, transfer, for: self)
  }

  /// CURLMOPT_TIMERFUNCTION: libcurl wants to be called in `milliseconds`; -1: no longer.
  func timerChanged(milliseconds: Int) {
    guard milliseconds > 0 else {
      curlDeadline = nil
      if milliseconds == 0 { kickAtEndOfTurn() }
      return
    }
    let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
    curlDeadline = deadline
    guard deadline < timerDeadline else { return }
    timer?.cancel()
    armTimer(deadline)
  }

  private func armTimer(_ deadline: Monotonic) {
    timerDeadline = deadline
    timer = EventLoop.shared.at(deadline) { self.timerFired() }
  }

  /// Libcurl moves its timer at every step of every transfer; ours stays where it is if that is early
  /// enough, and looks again when it fires.
  private func timerFired() {
    timer = nil
    timerDeadline = Monotonic(nanoseconds: .max)
    guard let deadline = curlDeadline else { return }
    if deadline <= Monotonic.now() {
      curlDeadline = nil
      drive(-1, 0)
    } else {
      armTimer(deadline)
    }
  }

  private func kickAtEndOfTurn() {
    guard !isKickScheduled else { return }
    isKickScheduled = true
    EventLoop.shared.atEndOfTurn {
      self.isKickScheduled = false
      self.drive(-1, 0)
    }
  }
}
