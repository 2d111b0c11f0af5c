import CHiredis

/// One reply of the server, copied out of hiredis.
public enum RedisReply: Equatable, Sendable {
  /// No value.
  case null
  /// An integer.
  case integer(Int)
  /// A bulk or simple string.
  case bytes([UInt8])
  /// A list of replies.
  case array([RedisReply])
  /// An error inside an array. An error on its own is thrown instead.
  case error(RedisError)

  init(copying reply: UnsafePointer<redisReply>) {
    switch reply.pointee.type {
    case REDIS_REPLY_INTEGER: self = .integer(Int(reply.pointee.integer))
    case REDIS_REPLY_STRING, REDIS_REPLY_STATUS:
      self = .bytes(RedisReply.bytes(of: reply))
    case REDIS_REPLY_ARRAY:
      let count = Int(reply.pointee.elements)
      var elements: [RedisReply] = []
      elements.reserveCapacity(count)
      for index in 0..<count {
        if let element = reply.pointee.element[index] { elements.append(RedisReply(copying: element)) }
      }
      self = .array(elements)
    case REDIS_REPLY_ERROR:
      self = .error(RedisError(reply: String(decoding: RedisReply.bytes(of: reply), as: UTF8.self)))
    default: self = .null
    }
  }

  private static func bytes(of reply: UnsafePointer<redisReply>) -> [UInt8] {
    guard let start = reply.pointee.str else { return [] }
    let buffer = UnsafeRawBufferPointer(start: start, count: Int(reply.pointee.len))
    return [UInt8](buffer)
  }

  /// The value of an integer, or of a string that is one; nil for anything else.
  public var int: Int? {
    switch self {
    case .integer(let value): return value
    case .bytes(let value): return Int(String(decoding: value, as: UTF8.self))
    default: return nil
    }
  }

  /// The text of a string, or of an integer; nil for anything else.
  public var text: String? {
    switch self {
    case .bytes(let value): return String(decoding: value, as: UTF8.self)
    case .integer(let value): return String(value)
    default: return nil
    }
  }

  /// The bytes of a string; nil for anything else.
  public var data: [UInt8]? {
    if case .bytes(let value) = self { return value }
    return nil
  }

  /// The elements of an array; nil for anything else.
  public var elements: [RedisReply]? {
    if case .array(let value) = self { return value }
    return nil
  }

  /// Whether there is no value.
  public var isNull: Bool { self == .null }

  /// A flat list of names and values, as HGETALL gives, as a dictionary; nil for anything else.
  public var fields: [String: String]? {
    guard let elements, elements.count % 2 == 0 else { return nil }
    var result: [String: String] = [:]
    for index in stride(from: 0, to: elements.count, by: 2) {
      guard let name = elements[index].text, let value = elements[index + 1].text else { return nil }
      result[name] = value
    }
    return result
  }
}

extension RedisReply {
  /// The element `index` of an array; nil for anything else.
  public subscript(index: Int) -> RedisReply? {
    guard case .array(let items) = self, items.indices.contains(index) else { return nil }
    return items[index]
  }
}
