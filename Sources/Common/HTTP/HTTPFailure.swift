import CCurl

/// Why a transfer gave no complete response. Any status code is a response, not a failure.
public struct HTTPFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure.
  public enum Code: String, CaseIterable, Sendable {
    /// The name has no address.
    case resolve
    /// Nobody listens there, or the network has no way to it.
    case connectRefused
    /// Not connected in time.
    case connectTimeout
    /// Connected, but no content in time.
    case firstContentTimeout
    /// Content came, then nothing for too long.
    case stallTimeout
    /// Not finished in time.
    case totalTimeout
    /// The body is larger than allowed.
    case tooLarge
    /// The headers are larger than allowed.
    case headerTooLarge
    /// The connection ended before the response did.
    case truncated
    /// What came is not HTTP, or the URL is of another protocol.
    case protocolError
    /// TLS could not be agreed on, or the certificate is not trusted.
    case tls
    /// ``Transfer/cancel()`` was called, or the waiting task was cancelled.
    case cancelled
    /// Anything else; see `curlCode`.
    case other
  }

  /// The kind of failure.
  public var code: Code
  /// Whether a limit of time ended the transfer.
  public var isTimeout: Bool {
    [.connectTimeout, .firstContentTimeout, .stallTimeout, .totalTimeout].contains(code)
  }
  /// libcurl's `CURLcode`; 0 if the decision was ours.
  public var curlCode: Int
  /// A few words, without anything of the request or the response.
  public var message: String

  init(_ code: Code, curlCode: Int = 0, message: String? = nil) {
    self.code = code
    self.curlCode = curlCode
    self.message = message ?? code.rawValue
  }

  /// Translates libcurl's code.
  /// - Parameter hasHead: whether the response's head was complete.
  init(_ result: CURLcode, hasHead: Bool) {
    self.init(
      Self.code(result, hasHead: hasHead), curlCode: Int(result.rawValue),
      message: String(cString: curl_easy_strerror(result)))
  }

  /// CURLE_TOO_LARGE, which replaces CURLE_OUT_OF_MEMORY in later versions.
  private static let tooLarge = CURLcode(100)

  private static func code(_ result: CURLcode, hasHead: Bool) -> Code {
    switch result {
    case CURLE_COULDNT_RESOLVE_HOST: .resolve
    case CURLE_COULDNT_CONNECT: .connectRefused
    // The other timeouts are ours: the connect timeout is the only one that libcurl knows of.
    case CURLE_OPERATION_TIMEDOUT: .connectTimeout
    case CURLE_FILESIZE_EXCEEDED: .tooLarge
    // How libcurl reports a single header line above 100 KB, its own limit.
    case CURLE_OUT_OF_MEMORY where !hasHead, tooLarge where !hasHead: .headerTooLarge
    case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR: .truncated
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_WEIRD_SERVER_REPLY, CURLE_HTTP2,
      CURLE_BAD_CONTENT_ENCODING, CURLE_LOGIN_DENIED:
      .protocolError
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_NOTFOUND,
      CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_SHUTDOWN_FAILED,
      CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_USE_SSL_FAILED:
      .tls
    default: .other
    }
  }

  /// The kind and the message.
  public var description: String {
    curlCode == 0 ? "\(code.rawValue): \(message)" : "\(code.rawValue): \(message) (curl \(curlCode))"
  }
}
