import Testing

@testable import vision_chaos

@Suite("Where values of the Redis protocol end")
struct RESPTests {
  static let values = [
    "+OK\r\n", ":12\r\n", "$5\r\nab\r\nc\r\n", "$-1\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "*-1\r\n",
  ]

  @Test("is found for whole values, and for none that lacks a byte", arguments: values)
  func ends(value: String) {
    let bytes = Array(value.utf8)
    #expect(RESP.end(of: bytes, from: 0) == bytes.count)
    #expect(RESP.end(of: bytes + bytes, from: bytes.count) == 2 * bytes.count)
    for count in 0..<bytes.count { #expect(RESP.end(of: Array(bytes[..<count]), from: 0) == nil, "\(count)") }
  }

  @Test("the words of a command are its arguments, up to as many as are wanted")
  func words() {
    let command = Array("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n".utf8)
    #expect(
      RESP.words(command[...], limit: .max).map { String(decoding: $0, as: UTF8.self) } == [
        "SET", "a", "\r\n",
      ])
    #expect(RESP.words(command[...], limit: 1).count == 1)
  }
}
