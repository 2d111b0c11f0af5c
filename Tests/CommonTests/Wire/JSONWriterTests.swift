import Testing

@testable import Common

/// JSON text that is written member by member.
@Suite("JSON writer")
struct JSONWriterTests {
  @Test("writes any integer as Swift does", arguments: [0, 7, 10, -1, 100_000_000, Int.max, Int.min])
  func integers(value: Int) {
    var json = JSONWriter()
    json.beginObject()
    json.member("first", value)
    json.member("second", value)
    json.endObject()
    #expect(String(decoding: json.bytes, as: UTF8.self) == #"{"first":\#(value),"second":\#(value)}"#)
  }
}
