import Common
import Foundation
import Testing

@testable import Aggregator

@Suite("Packed lists")
struct PackedTests {
  static func table(_ random: inout SeededRandom, miners: Int, rows: Int) -> Packed<RewardRow> {
    var lists: [String: [RewardRow]] = [:]
    for miner in 0..<miners {
      var time = 1_732_288_800_000
      lists["5F\(miner)"] = (0..<rows).map { _ in
        time += random.below(1_000_000)
        return RewardRow(
          timeMilliseconds: time, score: random.uniform() * 11 - 10, workMilli: random.below(2_000_000),
          units: random.below(8000), totalMilliseconds: random.below(60_000))
      }
    }
    return Packed(wrappedValue: ["chat": lists, "none": [:]])
  }

  @Test("lists read back the same, with equal bytes for equal lists")
  func roundTrip() throws {
    for seed in 0..<20 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let table = Self.table(&random, miners: random.below(5), rows: random.below(50))
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      let data = try encoder.encode(table)
      let read = try JSONDecoder().decode(Packed<RewardRow>.self, from: data)
      #expect(read == table, "seed \(seed)")
      let again = try encoder.encode(read)
      #expect(again == data, "seed \(seed)")
    }
  }

  @Test("a verdict takes at most 27 bytes of the saved state")
  func size() throws {
    var random = SeededRandom(seed: 1)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    let data = try encoder.encode(Self.table(&random, miners: 10, rows: 200))
    #expect(data.count < 10 * 200 * 27)
  }

  @Test("every number reads back, the extreme ones too", arguments: [0, 1, -1, 63, 64, .max, .min, 1 << 35])
  func numbers(_ number: Int) {
    var writer = PackedWriter()
    writer.add(number)
    writer.add("é")
    writer.add(-0.0)
    var reader = PackedReader(writer.bytes)
    #expect(reader.int() == number)
    #expect(reader.text() == "é")
    #expect(reader.double()?.sign == .minus)
    #expect(reader.isAtEnd)
    #expect(reader.int() == nil && reader.double() == nil && reader.text() == nil)
  }

  @Test("damaged lists are refused, and never trap")
  func damaged() throws {
    var random = SeededRandom(seed: 7)
    let table = Self.table(&random, miners: 2, rows: 5)
    struct Wrapped: Codable { @Packed var rows: [String: [String: [RewardRow]]] }
    let whole = try JSONDecoder().decode(
      [String: [String: Data]].self, from: JSONEncoder().encode(Wrapped(rows: table.wrappedValue)))
    let packed = Array(try #require(whole["rows"]?["chat"]))
    func decode(_ bytes: [UInt8]) throws -> Wrapped {
      let json = try JSONEncoder().encode(["rows": ["chat": Data(bytes)]])
      return try JSONDecoder().decode(Wrapped.self, from: json)
    }
    #expect(try decode(packed).rows["chat"] == table.wrappedValue["chat"])
    #expect(throws: DecodingError.self) { try decode(packed.dropLast()) }
    #expect(throws: DecodingError.self) { try decode(packed + [0x80]) }
    for length in 0..<packed.count {
      let read = try? decode(Array(packed.prefix(length)))
      #expect(read?.rows["chat"] != table.wrappedValue["chat"])
    }
    for _ in 0..<2000 {
      var bytes = packed
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
      _ = try? decode(bytes)
    }
  }
}
