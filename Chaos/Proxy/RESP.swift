/// Where values of the Redis protocol end, without building them.
enum RESP {
  /// The position after the value that begins at `start`; nil when it is not complete.
  static func end(of bytes: [UInt8], from start: Int) -> Int? {
    guard start < bytes.count, let line = lineEnd(bytes, start) else { return nil }
    switch bytes[start] {
    case UInt8(ascii: "$"):
      let length = number(bytes, start + 1, line)
      if length < 0 { return line }
      return line + length + 2 <= bytes.count ? line + length + 2 : nil
    case UInt8(ascii: "*"):
      var next = line
      for _ in 0..<max(0, number(bytes, start + 1, line)) {
        guard let end = end(of: bytes, from: next) else { return nil }
        next = end
      }
      return next
    default: return line
    }
  }

  /// The first `limit` words of a command.
  static func words(_ bytes: ArraySlice<UInt8>, limit: Int) -> [ArraySlice<UInt8>] {
    let all = Array(bytes)
    guard var next = lineEnd(all, 0) else { return [] }
    var words: [ArraySlice<UInt8>] = []
    while words.count < limit, next < all.count, let line = lineEnd(all, next) {
      let length = max(0, number(all, next + 1, line))
      guard line + length <= all.count else { break }
      words.append(all[line..<(line + length)])
      next = line + length + 2
    }
    return words
  }

  /// The position after the line end that follows `start`.
  private static func lineEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
    var index = start
    while index + 1 < bytes.count {
      if bytes[index] == 13, bytes[index + 1] == 10 { return index + 2 }
      index += 1
    }
    return nil
  }

  private static func number(_ bytes: [UInt8], _ start: Int, _ lineEnd: Int) -> Int {
    Int(String(decoding: bytes[start..<max(start, lineEnd - 2)], as: UTF8.self)) ?? 0
  }
}
