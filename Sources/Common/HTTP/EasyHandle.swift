import CCurl

/// libcurl's handle of one transfer, with the options that every transfer has. Whoever holds it cleans it
/// up exactly once; the pool of ``HTTPClient`` does.
///
/// Option manuals: https://curl.se/libcurl/c/CURLOPT_NOSIGNAL.html and so on, one page for each name.
struct EasyHandle {
  let raw: UnsafeMutableRawPointer

  /// A new handle; nil when memory is short.
  init?() {
    guard let raw = curl_easy_init() else { return nil }
    self.raw = raw
  }

  /// The options that do not depend on the request. They stay for the life of the handle: it is never given
  /// to `curl_easy_reset`, which costs as much again as the request's own options, and after a transfer that
  /// was cut off sets the size of the next read back to its default while the receive buffer keeps its own
  /// (https://github.com/curl/curl/issues/4143).
  func configure(_ configuration: HTTPClient.Configuration) {
    set(CURLOPT_BUFFERSIZE, configuration.bufferBytes)
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(CURLOPT_TCP_NODELAY, 1)
    // Without this libcurl would obey http_proxy and its kin in the environment.
    set(CURLOPT_PROXY, "")
    set(CURLOPT_NOPROXY, "*")
    // Accept-Encoding stays unset, so a server has no reason to compress and libcurl never inflates.
    set(CURLOPT_UPLOAD_BUFFERSIZE, 16 * 1024)
    set(CURLOPT_DNS_CACHE_TIMEOUT, configuration.nameCacheSeconds)
  }

  /// Says where the request goes. The handle is pooled, and libcurl 7.88 goes on to show the first such URL of its life
  /// as the effective one (https://github.com/curl/curl/issues/15984), which nobody asks for; where it connects and what
  /// it sends is the latest one's.
  func set(_ url: ParsedURL) {
    guard url.hasZone else { return set(CURLOPT_CURLU, UnsafeMutableRawPointer(url.raw)) }
    set(CURLOPT_URL, url.text)
  }

  /// Takes back everything that was one request's, secrets included; what it was asked for is overwritten by the next
  /// one.
  func clear() {
    _ = vision_curl_set_list(raw, CURLOPT_HTTPHEADER, nil)
    for option in [CURLOPT_COPYPOSTFIELDS, CURLOPT_CUSTOMREQUEST, CURLOPT_PRIVATE, CURLOPT_CURLU] {
      _ = vision_curl_set_pointer(raw, option, nil)
    }
  }

  /// The options of one request, but for its URL and its headers.
  /// - Returns: false if libcurl refuses one of them.
  func configure(_ request: HTTPRequest, connectMilliseconds: Int, responseBytesMax: Int) -> Bool {
    set(CURLOPT_CONNECTTIMEOUT_MS, connectMilliseconds)
    // Refuses by Content-Length before the first byte; the count of what comes is kept besides.
    let limit = vision_curl_set_offset(raw, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(max(1, responseBytesMax)))
    precondition(limit == CURLE_OK)
    switch request.method {
    case .get: set(CURLOPT_HTTPGET, 1)
    case .delete:
      set(CURLOPT_HTTPGET, 1)
      set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
    case .post: return setBody(request.body)
    case .put:
      set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
      return setBody(request.body)
    }
    return true
  }

  /// Copied by libcurl, so that the array need not stay where it is. The size comes first: "you must set
  /// CURLOPT_POSTFIELDSIZE before CURLOPT_COPYPOSTFIELDS" (its manual).
  private func setBody(_ body: [UInt8]) -> Bool {
    set(CURLOPT_POST, 1)
    guard vision_curl_set_offset(raw, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)) == CURLE_OK else {
      return false
    }
    return body.withUnsafeBytes { bytes in
      // An empty array may have no address, and NULL would mean "read the body from a callback".
      bytes.baseAddress.map {
        vision_curl_set_pointer(raw, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: $0))
      } ?? vision_curl_set_string(raw, CURLOPT_COPYPOSTFIELDS, "")
    } == CURLE_OK
  }

  // MARK: options whose refusal is our mistake

  func set(_ option: CURLoption, _ value: Int) {
    let code = vision_curl_set_long(raw, option, value)
    precondition(code == CURLE_OK, "libcurl refuses option \(option.rawValue)")
  }

  func set(_ option: CURLoption, _ value: String) {
    let code = vision_curl_set_string(raw, option, value)
    precondition(code == CURLE_OK, "libcurl refuses option \(option.rawValue)")
  }

  func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer) {
    let code = vision_curl_set_pointer(raw, option, value)
    precondition(code == CURLE_OK, "libcurl refuses option \(option.rawValue)")
  }

  // MARK: what it knows

  func long(_ info: CURLINFO) -> Int {
    var value = 0
    _ = vision_curl_get_long(raw, info, &value)
    return value
  }

  func offset(_ info: CURLINFO) -> Int {
    var value: curl_off_t = 0
    _ = vision_curl_get_offset(raw, info, &value)
    return Int(value)
  }

  func string(_ info: CURLINFO) -> String? {
    var value: UnsafeMutableRawPointer?
    _ = vision_curl_get_pointer(raw, info, &value)
    // Strings live as long as the handle's transfer: copied here.
    return value.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) }
  }
}

/// Headers in libcurl's form, which reads them until the transfer ends. Freed with this object; transfers with
/// the same headers share one.
@IO
final class HeaderList {
  /// What the list was made of.
  private let headers: HTTPHeaders
  // Changed by `init` alone, and read by `deinit`, which nobody else can run beside.
  nonisolated(unsafe) private(set) var raw: UnsafeMutablePointer<curl_slist>?

  deinit { curl_slist_free_all(raw) }

  /// Whether the list says just this.
  func holds(_ other: HTTPHeaders) -> Bool {
    headers === other
      || headers.fields.elementsEqual(other.fields) { $0.name == $1.name && $0.value == $1.value }
  }

  /// Nil when a name or value holds what could start another header, or memory is short.
  init?(_ headers: HTTPHeaders) {
    self.headers = headers
    let headers = headers.fields
    // A name without a value takes out a header that libcurl would add by itself. Those that the caller
    // sets are listed only once.
    var lines: [String] = ["Expect:"]
    for added in ["Accept", "Content-Type"] where !headers.contains(where: { Self.isSame($0.name, added) }) {
      lines.append("\(added):")
    }
    for (name, value) in headers {
      guard Self.isToken(name), Self.isFieldValue(value) else { return nil }
      // "Name;" is libcurl's way to send a header without a value.
      lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
    }
    for line in lines {
      guard let longer = curl_slist_append(raw, line) else { return nil }
      raw = longer
    }
  }

  /// Whether a name is one (RFC 9110, section 5.6.2).
  private static func isToken(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
  }

  private static func isFieldValue(_ value: String) -> Bool {
    value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }
  }

  private static func isSame(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
  }
}
