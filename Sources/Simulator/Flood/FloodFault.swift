import Common

/// How a flood misbehaves in the middle of its streams.
enum FloodFault: String, CaseIterable {
  /// Falls silent after half of the tokens, with the connection open.
  case stall
  /// Sends one byte a second.
  case drip
  /// Resets the connection after half of the tokens.
  case reset
  /// Answers 500.
  case http500 = "http-500"
  /// Never stops sending tokens.
  case endless
  /// Announces gzip and sends what unpacks to 159 times its size, without an end.
  case bomb

  /// A gzip header, and the start of a deflate block with fixed codes.
  static let bombHead: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]

  /// Deflate data that unpacks to zeros: one zero, then copies of 258 bytes from one byte back, 13 bits each
  /// (RFC 1951, 3.2.5 and 3.2.6). The block does not end.
  static func bombBody(copies: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var (bits, count) = (0, 0)
    func put(_ value: Int, _ length: Int) {
      bits |= value << count
      count += length
      while count >= 8 {
        bytes.append(UInt8(bits & 255))
        bits >>= 8
        count -= 8
      }
    }
    // Not the last block, fixed codes; Huffman codes go in with their highest bit first.
    put(0b010, 3)
    put(reversed(0b0011_0000, 8), 8)
    for _ in 0..<copies {
      put(reversed(0b1100_0101, 8), 8)
      put(0, 5)
    }
    return bytes
  }

  private static func reversed(_ value: Int, _ length: Int) -> Int {
    (0..<length).reduce(0) { $0 | ((value >> $1) & 1) << (length - 1 - $1) }
  }
}
