import Common
import Foundation
import Testing

@Suite("The order of a text's members")
struct JSONKeyOrderTests {
  @Test("is that of the text, also inside of lists")
  func order() throws {
    let text = #"{"b": {"z": 1, "a": 2}, "a": [{"y": 1, "x": {"q": 1, "p": 2}}]}"#
    let (value, order) = try JSON.ordered(parsing: Data(text.utf8))
    #expect(value == (try JSON(parsing: Data(text.utf8))))
    #expect(order.keys(at: []) == ["b", "a"])
    #expect(order.keys(at: ["b"]) == ["z", "a"])
    #expect(order.keys(at: ["a", "0"]) == ["y", "x"])
    #expect(order.keys(at: ["a", "0", "x"]) == ["q", "p"])
    #expect(order.keys(at: ["c"]) == [])
  }

  @Test("numbers that are not finite stand as texts and read back")
  func real() {
    for value in [1.5, .infinity, -.infinity] { #expect(JSON.real(value).real == value) }
    #expect(JSON.real(.nan) == .string("NaN") && JSON.string("NaN").real?.isNaN == true)
    #expect(JSON.string("1").real == nil && JSON.null.real == nil)
  }
}
