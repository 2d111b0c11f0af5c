/// Why a request is refused before any handler sees it.
enum HTTPRefusal: Int, Error {
  case badRequest = 400
  case lengthRequired = 411
  case bodyTooLarge = 413
  case headTooLarge = 431
}

/// The request line and the headers that decide how a request is framed (RFC 9112). Everything else
/// stays as bytes until somebody asks for it by name.
struct HTTPHead {
  /// Longest accepted head, in bytes.
  static let lengthMax = 64 * 1024
  /// Longest accepted body, in bytes.
  static let bodyMax = 8 * 1024 * 1024

  var method = ""
  /// The path without the query.
  var path = ""
  var bodyLength = 0
  var keepsAlive = true
  var expectsContinue = false
  /// The head as received, with its final empty line.
  var bytes: ArraySlice<UInt8> = []

  /// Reads the head at the front of `input`; nil when it is not complete yet.
  static func parse(_ input: [UInt8]) throws(HTTPRefusal) -> HTTPHead? {
    guard let end = endOfHead(input) else {
      if input.count > lengthMax { throw .headTooLarge }
      return nil
    }
    guard end <= lengthMax else { throw .headTooLarge }
    var head = HTTPHead()
    head.bytes = input[..<end]
    var lines = head.lines().makeIterator()
    guard let first = lines.next() else { throw .badRequest }
    let words = first.split(separator: UInt8(ascii: " "))
    guard words.count == 3, words[2].starts(with: "HTTP/1.".utf8) else { throw .badRequest }
    head.method = String(decoding: words[0], as: UTF8.self)
    let target = words[1]
    let path = target.firstIndex(of: UInt8(ascii: "?")).map { target[..<$0] } ?? target
    head.path = String(decoding: path, as: UTF8.self)
    head.keepsAlive = words[2].last != UInt8(ascii: "0")
    while let line = lines.next() { try head.take(line) }
    return head
  }

  /// The value of the first header `name` (lower case); nil when there is none.
  func value(of name: String) -> String? {
    for line in lines().dropFirst() {
      guard let (found, value) = HTTPHead.split(line), HTTPHead.matches(found, name) else { continue }
      return String(decoding: value, as: UTF8.self)
    }
    return nil
  }

  private mutating func take(_ line: ArraySlice<UInt8>) throws(HTTPRefusal) {
    guard let (name, value) = HTTPHead.split(line) else { throw .badRequest }
    // The length of a name picks the only header that it can be.
    switch name.count {
    case 14 where HTTPHead.matches(name, "content-length"):
      guard let length = Int(String(decoding: value, as: UTF8.self)), length >= 0 else { throw .badRequest }
      guard length <= HTTPHead.bodyMax else { throw .bodyTooLarge }
      bodyLength = length
    case 10 where HTTPHead.matches(name, "connection"):
      if HTTPHead.matches(value, "close") { keepsAlive = false }
      if HTTPHead.matches(value, "keep-alive") { keepsAlive = true }
    case 6 where HTTPHead.matches(name, "expect"):
      expectsContinue = HTTPHead.matches(value, "100-continue")
    case 17 where HTTPHead.matches(name, "transfer-encoding"):
      throw .lengthRequired
    default: break
    }
  }

  private func lines() -> [ArraySlice<UInt8>] {
    bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      return line.isEmpty ? nil : line
    }
  }

  private static func endOfHead(_ input: [UInt8]) -> Int? {
    input.withUnsafeBufferPointer { bytes in
      guard bytes.count >= 4 else { return nil }
      for index in 3..<bytes.count where bytes[index] == 10 {
        if bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 { return index + 1 }
      }
      return nil
    }
  }

  private static func split(_ line: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, ArraySlice<UInt8>)? {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let isBlank = { (byte: UInt8) in byte == 32 || byte == 9 }
    var value = line[(colon + 1)...].drop(while: isBlank)
    while let last = value.last, isBlank(last) { value = value.dropLast() }
    return (line[..<colon], value)
  }

  /// Whether `bytes` are `lower`, letters in either case.
  private static func matches(_ bytes: ArraySlice<UInt8>, _ lower: String) -> Bool {
    bytes.elementsEqual(lower.utf8) { byte, expected in
      (byte >= 65 && byte <= 90 ? byte | 0x20 : byte) == expected
    }
  }
}

/// One request, complete with its body.
struct HTTPRequest {
  var head: HTTPHead
  var body: [UInt8]

  var method: String { head.method }
  var path: String { head.path }
}
