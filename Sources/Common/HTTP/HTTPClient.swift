import CCurl

/// HTTP/1.1 on the event loop: one libcurl multi handle, driven by readiness events and one timer
/// (`curl_multi_socket_action`, https://curl.se/libcurl/c/curl_multi_socket_action.html).
///
/// Redirects are not followed, the proxy settings of the environment are ignored, compression is not asked
/// for, only `http` and `https` are spoken. Names are resolved in libcurl's own threads (Debian builds it
/// with the threaded resolver; `init` checks it), so a slow name server never holds up the loop.
///
/// Close it with ``close()``: until then libcurl's callbacks keep it alive.
@IO
public final class HTTPClient {
  /// What every transfer of a client has in common.
  public struct Configuration: Sendable {
    /// Most idle connections that are kept open for reuse.
    public var idleConnectionsMax = 1024
    /// Most transfers at a time; one more fails with `other`.
    public var transfersMax = 10_000
    /// Bytes of each transfer's receive buffer: 1024 to 65536. Besides it a stream
    /// takes about 13 KB, most of it libcurl's; of a buffer only the pages that were written to count.
    public var bufferBytes = 8 * 1024
    /// How long resolved names are remembered, in seconds.
    public var nameCacheSeconds = 60
    /// Which addresses are connected to; another one is refused like a closed port.
    public var networks = NetworkPolicy.any
    /// Most easy handles kept for reuse, each with its receive buffer.
    public var pooledHandlesMax = 128

    /// The defaults.
    public init() {}
  }

  /// What every transfer of this client has in common.
  public let configuration: Configuration
  /// libcurl's multi handle; nil once closed.
  private(set) var multi: UnsafeMutableRawPointer?
  /// The transfers under way.
  private var transfers: [Transfer] = []
  private var pool: [EasyHandle] = []
  private var headerLists: [HeaderList] = []
  /// Kinds of request whose headers are kept.
  private static let headerListsMax = 4
  /// Whether libcurl is on the stack: its handles must not be added or removed then ("you must not call
  /// curl_multi_remove_handle from within a callback").
  private(set) var isInsideCurl = false
  private var removals: [Transfer] = []
  private var additions: [Transfer] = []

  /// What is watched, by descriptor.
  var watches: [SocketWatch?] = []
  var watchCount = 0
  /// How often epoll's set was changed, for tests.
  var epollChanges = 0

  private var timer: LoopTimer?
  private var timerDeadline = Monotonic(nanoseconds: .max)
  /// When libcurl wants to be called; nil when it does not.
  private var curlDeadline: Monotonic?
  private var isKickScheduled = false

  private static let globalInit: CURLcode = curl_global_init(Int(CURL_GLOBAL_ALL))

  /// A client without connections. Traps when libcurl cannot be used at all.
  public init(_ configuration: Configuration = Configuration()) {
    precondition((1024...65536).contains(configuration.bufferBytes) && configuration.transfersMax > 0)
    precondition(Self.globalInit == CURLE_OK, "libcurl cannot be initialised")
    precondition(vision_curl_resolves_names_in_threads() == 1, "libcurl would resolve names on the loop")
    guard let multi = curl_multi_init() else { preconditionFailure("no memory for libcurl") }
    self.configuration = configuration
    self.multi = multi
    // Released in close(), after curl_multi_cleanup made the last callback.
    let owner = Unmanaged.passRetained(self).toOpaque()
    vision_curl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, owner)
    vision_curl_multi_set_socket_callback(multi, socketCallback)
    vision_curl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, owner)
    vision_curl_multi_set_timer_callback(multi, timerCallback)
    vision_curl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
    limitConnections()
  }

  /// Libcurl counts the connections in use as well: with a fixed limit, that many open streams would leave
  /// no idle connection to any other request. Setting it is one assignment.
  private func limitConnections() {
    guard let multi else { return }
    vision_curl_multi_set_long(
      multi, CURLMOPT_MAXCONNECTS, configuration.idleConnectionsMax + transfers.count)
  }

  /// Cancels what is under way and closes every connection. Not from inside a handler's `received`.
  public func close() {
    guard let multi else { return }
    precondition(!isInsideCurl, "a client cannot be closed from inside its own callbacks")
    for transfer in transfers { transfer.close() }
    for easy in pool { curl_easy_cleanup(easy.raw) }
    pool = []
    headerLists = []
    self.multi = nil
    curl_multi_cleanup(multi)
    timer?.cancel()
    timer = nil
    Unmanaged.passUnretained(self).release()
  }

  /// Transfers under way.
  public var transferCount: Int { transfers.count }

  /// Connections under way, in use or idle.
  public var connectionCount: Int { watchCount }

  // MARK: transfers

  /// Starts a request. Connecting begins at the end of the loop's turn; all starts of a turn together.
  /// Whatever goes wrong, a bad URL included, is told to the handler's `ended`.
  @discardableResult
  public func start(
    _ request: HTTPRequest, timeouts: HTTPTimeouts, limits: HTTPLimits, handler: any TransferHandler
  ) -> Transfer {
    let easy = takeHandle()
    let transfer = Transfer(client: self, easy: easy, timeouts: timeouts, limits: limits, handler: handler)
    transfer.index = transfers.count
    transfers.append(transfer)
    if let refusal = prepare(transfer, request) {
      transfer.refuse(refusal)
    } else if isInsideCurl {
      additions.append(transfer)
    } else {
      add(transfer)
    }
    return transfer
  }

  /// Sets the handle's options; returns why the request cannot be sent.
  private func prepare(_ transfer: Transfer, _ request: HTTPRequest) -> HTTPFailure? {
    guard multi != nil else { return HTTPFailure(.other, message: "the client is closed") }
    guard transfers.count <= configuration.transfersMax else {
      return HTTPFailure(.other, message: "too many transfers")
    }
    guard let headers = headerList(request.headers) else {
      return HTTPFailure(.other, message: "a header that cannot be sent")
    }
    let easy = transfer.easy
    transfer.headers = headers
    _ = vision_curl_set_list(easy.raw, CURLOPT_HTTPHEADER, headers.raw)
    // Unretained: `transfers` holds the transfer until detach(_:), which comes before the handle is reused.
    let pointer = Unmanaged.passUnretained(transfer).toOpaque()
    easy.set(CURLOPT_PRIVATE, pointer)
    easy.set(CURLOPT_WRITEDATA, pointer)
    easy.set(CURLOPT_HEADERDATA, pointer)
    let isAccepted = easy.configure(
      request, connectMilliseconds: transfer.timeouts.connectMilliseconds,
      responseBytesMax: transfer.limits.responseBytesMax)
    return isAccepted ? nil : HTTPFailure(.other, message: "a request that libcurl refuses")
  }

  /// The headers in libcurl's form: those of the last few kinds of request are kept.
  private func headerList(_ headers: [(name: String, value: String)]) -> HeaderList? {
    if let known = headerLists.first(where: { $0.holds(headers) }) { return known }
    guard let list = HeaderList(headers) else { return nil }
    if headerLists.count == HTTPClient.headerListsMax { headerLists.removeFirst() }
    headerLists.append(list)
    return list
  }

  private func add(_ transfer: Transfer) {
    guard transfer.state == .running, let multi else { return }
    if curl_multi_add_handle(multi, transfer.easy.raw) == CURLM_OK {
      transfer.isAdded = true
      limitConnections()
    } else {
      transfer.refuse(HTTPFailure(.other, message: "libcurl takes no further transfer"))
    }
  }

  func removeLater(_ transfer: Transfer) { removals.append(transfer) }

  /// Takes the transfer from libcurl, which closes a connection that is in use, and gives back its handle.
  func detach(_ transfer: Transfer) {
    precondition(!isInsideCurl && transfer.state == .running)
    transfer.state = .detached
    if transfer.isAdded, let multi { curl_multi_remove_handle(multi, transfer.easy.raw) }
    let last = transfers.removeLast()
    if last !== transfer {
      last.index = transfer.index
      transfers[transfer.index] = last
    }
    limitConnections()
    giveBack(transfer.easy)
    transfer.headers = nil
  }

  // MARK: easy handles

  private func takeHandle() -> EasyHandle {
    if let pooled = pool.popLast() { return pooled }
    guard let easy = EasyHandle() else { preconditionFailure("no memory for libcurl") }
    easy.configure(configuration)
    // Unretained: a connection does not outlive the multi handle, nor that this client.
    let owner = Unmanaged.passUnretained(self).toOpaque()
    easy.set(CURLOPT_OPENSOCKETDATA, owner)
    easy.set(CURLOPT_CLOSESOCKETDATA, owner)
    vision_curl_set_data_callback(easy.raw, CURLOPT_WRITEFUNCTION, bodyCallback)
    vision_curl_set_data_callback(easy.raw, CURLOPT_HEADERFUNCTION, headerCallback)
    vision_curl_set_open_callback(easy.raw, openCallback)
    vision_curl_set_close_callback(easy.raw, closeCallback)
    return easy
  }

  /// Cleans a handle of everything that was a request's, and keeps it if there is room.
  private func giveBack(_ easy: EasyHandle) {
    if multi != nil, pool.count < configuration.pooledHandlesMax {
      easy.clear()
      pool.append(easy)
    } else {
      curl_easy_cleanup(easy.raw)
    }
  }

  // MARK: driving libcurl

  /// Tells libcurl about a descriptor, or with -1 that its time has come, and handles what came of it.
  func drive(_ fd: Int32, _ mask: Int32) {
    guard let multi else { return }
    precondition(!isInsideCurl)
    var running: Int32 = 0
    isInsideCurl = true
    let code = curl_multi_socket_action(multi, fd, mask, &running)
    isInsideCurl = false
    precondition(code == CURLM_OK, "curl_multi_socket_action: \(code.rawValue)")
    collect(multi)
  }

  /// Ends the transfers that libcurl is done with, then does what handlers asked for meanwhile.
  private func collect(_ multi: UnsafeMutableRawPointer) {
    var remaining: Int32 = 0
    while self.multi != nil, let message = curl_multi_info_read(multi, &remaining) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
      // The message dies with curl_multi_remove_handle: read it first.
      let result = vision_curl_message_result(message)
      var pointer: UnsafeMutableRawPointer?
      vision_curl_get_pointer(easy, CURLINFO_PRIVATE, &pointer)
      let transfer = Unmanaged<Transfer>.fromOpaque(pointer!).takeUnretainedValue()
      transfer.reusedConnection = transfer.easy.long(CURLINFO_NUM_CONNECTS) == 0
      detach(transfer)
      transfer.end(result)
    }
    while let transfer = removals.popLast() {
      guard transfer.state == .running else { continue }
      detach(transfer)
      transfer.end(CURLE_OK)
    }
    let added = additions
    additions = []
    for transfer in added { add(transfer) }
  }

  // MARK: libcurl's timer

  /// Libcurl wants to be called in `milliseconds`; -1: no longer.
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
