import CCurl

/// A URL as libcurl reads it, made once and shared by all transfers to it: otherwise libcurl would read it, put it
/// together again and read the parts of that, for every request
/// (https://curl.se/libcurl/c/CURLOPT_CURLU.html).
@IO
final class ParsedURL {
  // Changed by nobody, and freed by `deinit`, which nobody else can run beside.
  nonisolated(unsafe) let raw: OpaquePointer
  let text: String
  /// Whether it names an interface of this machine (RFC 6874), which libcurl loses when it copies a URL before 8.3
  /// (https://github.com/curl/curl/pull/11549): such a one is given to it as text.
  let hasZone: Bool
  /// A hash of the part before the path: the same for all URLs of a server.
  let serverHash: UInt64

  deinit { curl_url_cleanup(raw) }

  /// - Throws: `protocolError` when it is no absolute URL of a protocol that libcurl knows, or has a user name.
  init(_ text: String) throws(HTTPFailure) {
    guard let raw = curl_url() else { preconditionFailure("no memory for libcurl") }
    // Addresses come from strangers: a password in one is refused, not sent.
    let code = curl_url_set(raw, CURLUPART_URL, text, UInt32(CURLU_DISALLOW_USER))
    guard code == CURLUE_OK else {
      curl_url_cleanup(raw)
      throw HTTPFailure(.protocolError, message: String(cString: curl_url_strerror(code)))
    }
    self.raw = raw
    self.text = text
    var zone: UnsafeMutablePointer<CChar>?
    hasZone = curl_url_get(raw, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK
    curl_free(zone)
    serverHash = ParsedURL.serverHash(text)
  }

  /// A hash (FNV-1a) of the part of a URL before its path.
  private static func serverHash(_ url: String) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var slashes = 0
    for byte in url.utf8 {
      if byte == UInt8(ascii: "/") { slashes += 1 }
      guard slashes < 3 else { break }
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    return hash
  }
}
