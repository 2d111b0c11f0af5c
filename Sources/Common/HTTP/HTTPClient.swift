import CCurl

/// HTTP/1.1 on the event loop, by libcurl.
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
    /// Bytes of each transfer's receive buffer: 1024 to 65536. Besides it libcurl takes about 10 KB for a stream. A
    /// chunk of a text answer fits into the default, and an image takes 500 reads for each megabyte.
    public var bufferBytes = 2 * 1024
    /// Most URLs that are kept as libcurl reads them, about 500 bytes each: more than a period has miners and tasks.
    public var urlsMax = 4_096
    /// How long resolved names are remembered, in seconds.
    public var nameCacheSeconds = 60
    /// Which addresses are connected to; another one is refused like a closed port.
    public var networks = NetworkPolicy.any
    /// Most easy handles kept for reuse, each with its receive buffer: as many as one turn of the loop can end, so
    /// that none is made anew under load.
    public var pooledHandlesMax = 512

    /// The defaults.
    public init() {}
  }

  /// What every transfer of this client has in common.
  public let configuration: Configuration
  /// Where the transfers are, by a hash of their server; made when first needed.
  private var multis = [CurlMulti?](repeating: nil, count: HTTPClient.multisMax)
  private var isClosed = false
  /// The transfers under way.
  private var transfers = PlaceList<Transfer>()
  private var pool: [EasyHandle] = []
  private var headerLists: [HeaderList] = []
  private var urls: [String: ParsedURL] = [:]
  /// Kinds of request whose headers are kept.
  private static let headerListsMax = 4
  /// Idle connections that each multi handle may keep, however many others hold.
  private static let idleOfMultiMin = 4
  /// With 2,000 connections each multi handle has about 60 to look through; an empty one takes 30 KB.
  private static let multisMax = 32
  /// The part of libcurl that is on the stack.
  private(set) var driven: CurlMulti?
  var isInsideCurl: Bool { driven != nil }
  private var removals: [Transfer] = []
  private var additions: [Transfer] = []

  /// What is watched, by descriptor.
  var watches: [SocketWatch?] = []
  var watchCount = 0
  /// How often epoll's set was changed, for tests.
  var epollChanges = 0

  private static let globalInit: CURLcode = curl_global_init(Int(CURL_GLOBAL_ALL))

  /// A client without connections. Traps when libcurl cannot be used at all.
  public init(_ configuration: Configuration = Configuration()) {
    precondition((1024...65536).contains(configuration.bufferBytes) && configuration.transfersMax > 0)
    precondition(Self.globalInit == CURLE_OK, "libcurl cannot be initialised")
    precondition(vision_curl_resolves_names_in_threads() == 1, "libcurl would resolve names on the loop")
    self.configuration = configuration
    // Libcurl's callbacks need the client until close().
    _ = Unmanaged.passRetained(self)
  }

  /// Libcurl counts the connections in use as well: with a fixed limit, that many open streams would leave
  /// no idle connection to any other request. What other multi handles hold is not there for this one.
  private func limitConnections(_ multi: CurlMulti) {
    let elsewhere = watchCount - multi.connectionCount - (transfers.elements.count - multi.transferCount)
    let idle = max(HTTPClient.idleOfMultiMin, configuration.idleConnectionsMax - max(0, elsewhere))
    multi.limitConnections(min(idle, configuration.idleConnectionsMax) + multi.transferCount)
  }

  /// The multi handle of a URL's server; the first one for what is no URL.
  private func multi(of url: ParsedURL?) -> CurlMulti {
    let index = Int((url?.serverHash ?? 0) % UInt64(HTTPClient.multisMax))
    if let known = multis[index] { return known }
    let fresh = CurlMulti(client: self)
    multis[index] = fresh
    return fresh
  }

  /// A URL in libcurl's form: those that were asked for are kept.
  private func parsed(_ url: String) throws(HTTPFailure) -> ParsedURL {
    if let known = urls[url] { return known }
    let fresh = try ParsedURL(url)
    // Transfers hold theirs.
    if urls.count >= configuration.urlsMax { urls = [:] }
    urls[url] = fresh
    return fresh
  }

  /// Cancels what is under way and closes every connection. Not from inside a handler's `received`.
  public func close() {
    guard !isClosed else { return }
    precondition(!isInsideCurl, "a client cannot be closed from inside its own callbacks")
    for transfer in transfers.elements { transfer.close() }
    for easy in pool { curl_easy_cleanup(easy.raw) }
    pool = []
    headerLists = []
    urls = [:]
    isClosed = true
    for multi in multis { multi?.close() }
    Unmanaged.passUnretained(self).release()
  }

  /// Transfers under way.
  public var transferCount: Int { transfers.elements.count }

  /// Connections under way, in use or idle.
  public var connectionCount: Int { watchCount }

  // MARK: transfers

  /// Starts a request. Connecting begins at the end of the loop's turn; all starts of a turn together.
  /// Whatever goes wrong, a bad URL included, is told to the handler's `ended`.
  @discardableResult
  public func start(
    _ request: HTTPRequest, timeouts: HTTPTimeouts, limits: HTTPLimits, handler: any TransferHandler
  ) -> Transfer {
    let url = Result { () throws(HTTPFailure) in try parsed(request.url) }
    let transfer = Transfer(
      client: self, multi: multi(of: try? url.get()), easy: takeHandle(), timeouts: timeouts, limits: limits,
      handler: handler)
    transfer.multi.transferCount += 1
    transfers.add(transfer)
    if let refusal = prepare(transfer, request, url) {
      transfer.refuse(refusal)
    } else if isInsideCurl {
      additions.append(transfer)
    } else {
      add(transfer)
    }
    return transfer
  }

  /// Sets the handle's options; returns why the request cannot be sent.
  private func prepare(
    _ transfer: Transfer, _ request: HTTPRequest, _ url: Result<ParsedURL, HTTPFailure>
  ) -> HTTPFailure? {
    guard !isClosed else { return HTTPFailure(.other, message: "the client is closed") }
    guard transfers.elements.count <= configuration.transfersMax else {
      return HTTPFailure(.other, message: "too many transfers")
    }
    guard let headers = headerList(request.headers) else {
      return HTTPFailure(.other, message: "a header that cannot be sent")
    }
    let easy = transfer.easy
    switch url {
    case .failure(let failure): return failure
    case .success(let url):
      transfer.url = url
      easy.set(url)
    }
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
  private func headerList(_ headers: HTTPHeaders) -> HeaderList? {
    if let known = headerLists.first(where: { $0.holds(headers) }) { return known }
    guard let list = HeaderList(headers) else { return nil }
    if headerLists.count == HTTPClient.headerListsMax { headerLists.removeFirst() }
    headerLists.append(list)
    return list
  }

  private func add(_ transfer: Transfer) {
    guard transfer.state == .running else { return }
    if transfer.multi.add(transfer.easy) {
      transfer.isAdded = true
      limitConnections(transfer.multi)
    } else {
      transfer.refuse(HTTPFailure(.other, message: "libcurl takes no further transfer"))
    }
  }

  func removeLater(_ transfer: Transfer) { removals.append(transfer) }

  /// Takes the transfer from libcurl, which closes a connection that is in use, and gives back its handle.
  func detach(_ transfer: Transfer) {
    precondition(!isInsideCurl && transfer.state == .running)
    transfer.state = .detached
    if transfer.isAdded { transfer.multi.remove(transfer.easy) }
    transfer.multi.transferCount -= 1
    transfers.remove(transfer)
    limitConnections(transfer.multi)
    giveBack(transfer.easy)
    transfer.headers = nil
    transfer.url = nil
  }

  // MARK: easy handles

  private func takeHandle() -> EasyHandle {
    if let pooled = pool.popLast() { return pooled }
    guard let easy = EasyHandle() else { preconditionFailure("no memory for libcurl") }
    easy.configure(configuration)
    // Unretained: a connection does not outlive its multi handle, nor that this client.
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
    if !isClosed, pool.count < configuration.pooledHandlesMax {
      easy.clear()
      pool.append(easy)
    } else {
      curl_easy_cleanup(easy.raw)
    }
  }

  // MARK: inside libcurl

  /// Libcurl runs from here on: its handles must not be added or removed ("you must not call
  /// curl_multi_remove_handle from within a callback").
  func enter(_ multi: CurlMulti) {
    precondition(driven == nil)
    driven = multi
  }

  /// Libcurl returned.
  func leave() { driven = nil }

  /// Does what handlers asked for while libcurl was on the stack.
  func catchUp() {
    while let transfer = removals.popLast() {
      guard transfer.state == .running else { continue }
      detach(transfer)
      transfer.end(CURLE_OK)
    }
    guard !additions.isEmpty else { return }
    let added = additions
    additions = []
    for transfer in added { add(transfer) }
  }
}
