/// The headers of a request. Kinds of request that are sent again and again share one.
public final class HTTPHeaders: Sendable, CustomReflectable {
  /// Sent in this order. A name or value with a control character fails the request.
  let fields: [(name: String, value: String)]

  /// Headers.
  public init(_ fields: [(name: String, value: String)]) { self.fields = fields }

  /// Shows nothing: headers may hold secrets.
  public var customMirror: Mirror { Mirror(self, children: ["fields": fields.count]) }
}

/// One HTTP request. Its descriptions show the method and the place only: headers may hold secrets.
public struct HTTPRequest: Sendable {
  /// What is asked of the server.
  public enum Method: String, Sendable {
    /// Reads; a body is not sent.
    case get = "GET"
    /// Sends the body, an empty one included.
    case post = "POST"
    /// Sends the body, an empty one included.
    case put = "PUT"
    /// Removes; a body is not sent.
    case delete = "DELETE"
  }

  /// What is asked of the server.
  public var method: Method
  /// An absolute `http` or `https` URL, without user name or password.
  public var url: String
  /// Sent after `Host`; nothing else is added but the length of the body.
  public var headers: HTTPHeaders
  /// The bytes of the body.
  public var body: [UInt8]

  /// A request.
  public init(
    method: Method, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []
  ) {
    self.init(method: method, url: url, headers: HTTPHeaders(headers), body: body)
  }

  /// A request with headers that others have as well.
  public init(method: Method, url: String, headers: HTTPHeaders, body: [UInt8]) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

extension HTTPRequest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Method, scheme, host and path.
  public var description: String {
    var place = url[...]
    if let end = place.firstIndex(where: { $0 == "?" || $0 == "#" }) { place = place[..<end] }
    if let at = place.lastIndex(of: "@") { place = place[place.index(after: at)...] }
    return "\(method.rawValue) \(place)"
  }

  /// As `description`.
  public var debugDescription: String { description }

  /// As `description`: `dump` shows nothing more either.
  public var customMirror: Mirror { Mirror(self, children: ["request": description]) }
}

/// How long each part of a transfer may take, in milliseconds.
public struct HTTPTimeouts: Equatable, Sendable {
  /// To resolve the name, connect, and shake hands for TLS.
  public var connectMilliseconds: Int
  /// From the start of the transfer to its first content (``Transfer/contentArrived()``).
  public var firstContentMilliseconds: Int
  /// Between bytes, once content arrived.
  public var stallMilliseconds: Int
  /// The whole transfer.
  public var totalMilliseconds: Int

  /// Timeouts, each greater than 0.
  public init(
    connectMilliseconds: Int, firstContentMilliseconds: Int, stallMilliseconds: Int, totalMilliseconds: Int
  ) {
    precondition(
      connectMilliseconds > 0 && firstContentMilliseconds > 0 && stallMilliseconds > 0
        && totalMilliseconds > 0)
    self.connectMilliseconds = connectMilliseconds
    self.firstContentMilliseconds = firstContentMilliseconds
    self.stallMilliseconds = stallMilliseconds
    self.totalMilliseconds = totalMilliseconds
  }
}

/// How much a server may send.
public struct HTTPLimits: Equatable, Sendable {
  /// Most bytes of the body.
  public var responseBytesMax: Int
  /// Most bytes of all headers together, trailers included.
  public var headerBytesMax: Int

  /// Limits.
  public init(responseBytesMax: Int, headerBytesMax: Int = 16 * 1024) {
    precondition(responseBytesMax >= 0 && headerBytesMax > 0)
    self.responseBytesMax = responseBytesMax
    self.headerBytesMax = headerBytesMax
  }
}

/// The beginning of a response.
public struct HTTPHead: Equatable, Sendable {
  /// The status code.
  public var status: Int
  /// What `Retry-After` asks for, in seconds, at most a day; a date is converted. Nil without the header.
  public var retryAfterSeconds: Int?
  /// The `Content-Type`, as sent.
  public var contentType: String?

  /// Whether the content type is JSON (and not a stream of events).
  public var isJSON: Bool { contentType?.lowercased().hasPrefix("application/json") ?? false }
}

/// How a transfer went that ended well.
public struct HTTPSummary: Equatable, Sendable {
  /// The status code; redirects are not followed, so 3xx ends up here.
  public var status: Int
  /// From the start to the first byte of the response, in microseconds.
  public var firstByteMicroseconds: Int
  /// From the start to the end, in microseconds.
  public var totalMicroseconds: Int
  /// Bytes of the body.
  public var bodyBytes: Int
  /// Whether the request went over a connection that an earlier one had opened.
  public var reusedConnection: Bool
}

/// A response that was read whole.
public struct HTTPResponse: Sendable {
  /// The beginning of the response.
  public var head: HTTPHead
  /// The body.
  public var body: [UInt8]
  /// Times and sizes.
  public var summary: HTTPSummary

  /// The status code.
  public var status: Int { head.status }
}
