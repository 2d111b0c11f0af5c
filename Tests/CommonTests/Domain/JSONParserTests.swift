import Foundation
import Testing

@testable import Common

@Suite("The JSON parser")
struct JSONParserTests {
  private static func parse(_ text: String) -> JSON? { try? JSON(parsing: Data(text.utf8)) }

  /// What Foundation makes of the same text.
  private static func decode(_ text: String) -> JSON? {
    try? JSONDecoder().decode(JSON.self, from: Data(text.utf8))
  }

  @Test(
    "agrees with JSONDecoder on what is JSON and what it says",
    arguments: [
      "null", " true ", "false", "0", "-0", "-7", "12.5", "1.0", "1e3", "1E-2", "9223372036854775807",
      "-9223372036854775808", "9223372036854775808", "1e300", "\"\"", "\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"",
      "\"\\u00e9\\u4e16\\ud83d\\ude42\"", "\"世界 🙂\"", "[]", "{}", "[ ]", "[1,[2,{\"a\":null}],\"b\"]",
      "{\"a\":1,\"a\":2}", "{\"\\u0061\":{\"b\":[true,false]}}",
      "", " ", "nul", "truex", "01", "-", "1.", ".5", "1e", "+1", "NaN", "1e999", "\"", "\"\\x\"",
      "\"\\ud83d\"", "\"\\ude42\"", "\"\\ud83d\\u0041\"", "\"\\u12g4\"", "\"a\nb\"", "[", "[1",
      "[1 2]", "{", "{\"a\"}", "{\"a\":}", "{a:1}", "{1:2}", "[] []", "[}", "{]",
    ])
  func agreement(text: String) {
    #expect(JSONParserTests.parse(text) == JSONParserTests.decode(text))
  }

  @Test("is stricter than JSONDecoder: a comma is no end", arguments: ["[1,]", "{\"a\":1,}", "[,]", "{,}"])
  func commas(text: String) {
    #expect(JSONParserTests.parse(text) == nil)
  }

  @Test("reads back what was written, whatever it was")
  func roundTrip() {
    for seed in 0..<300 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let value = JSONParserTests.draw(depth: 0, using: &random)
      #expect(JSONParserTests.parse(value.canonicalText()) == value, "seed \(seed)")
    }
  }

  private static func draw(depth: Int, using random: inout SeededRandom) -> JSON {
    switch random.below(depth < 5 ? 8 : 5) {
    case 0: return .null
    case 1: return .bool(random.below(2) == 0)
    case 2: return .integer(Int(truncatingIfNeeded: random.next()) >> random.below(63))
    case 3: return .number(random.uniform() * 100 + 0.000_123)
    case 4: return .string(text(using: &random))
    case 5, 6:
      return .array((0..<random.below(5)).map { _ in draw(depth: depth + 1, using: &random) })
    default:
      let members = (0..<random.below(5)).map { _ in
        (text(using: &random), draw(depth: depth + 1, using: &random))
      }
      return .object(Dictionary(members, uniquingKeysWith: { $1 }))
    }
  }

  private static func text(using random: inout SeededRandom) -> String {
    let characters: [Character] = ["a", "\"", "\\", "/", "\n", "\u{1}", "\u{7f}", "é", "世", "🙂", "\u{2028}"]
    return String((0..<random.below(8)).map { _ in characters[random.below(characters.count)] })
  }

  @Test("refuses broken UTF-8 and nesting without end, and says where")
  func refusals() throws {
    for bytes: [UInt8] in [
      [0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0x5c, 0x6e, 0xed, 0xa0, 0x80, 0x22],
    ] {
      #expect(throws: DecodingError.self) { try JSON(parsing: Data(bytes)) }
    }
    let deep = { (depth: Int) in
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(JSONParserTests.parse(deep(JSONParser.depthMax)) != nil)
    #expect(JSONParserTests.parse(deep(JSONParser.depthMax + 1)) == nil)
    #expect(JSONParserTests.parse(deep(1_000_000)) == nil)
    let error = #expect(throws: DecodingError.self) { try JSON(parsing: Data("[1,x]".utf8)) }
    guard case .dataCorrupted(let context) = try #require(error) else { return }
    #expect(context.debugDescription == "byte 3: not a value")
  }
}
