import Common
import Foundation
import Testing

@testable import Aggregator

@Suite("A segment of the ledger")
struct SegmentTests {
  /// Entries with fields of every kind of character.
  static func entries(_ random: inout SeededRandom, count: Int) -> [LedgerFields] {
    let alphabet: [Character] = ["a", "\"", "\\", "\n", "\u{1}", "\u{7f}", "é", "漢", "🙂", " ", "{", ":"]
    var milliseconds = 1000
    return (0..<count).map { number in
      milliseconds += 1 + random.below(3)
      var fields: [String] = []
      for field in 0..<(1 + random.below(5)) {
        let value = String((0..<random.below(12)).map { _ in alphabet[random.below(alphabet.count)] })
        fields += ["f\(field)", value]
      }
      return LedgerFields(id: "\(milliseconds)-\(number % 2)", fields: fields)
    }
  }

  static func lines(_ entries: [LedgerFields], from start: SegmentStart = .beginning) -> [[UInt8]] {
    var writer = SegmentWriter(from: start)
    return ([writer.headerLine] + entries.map { writer.line($0) } + [writer.endLine]).map { $0.dropLast() }
  }

  static func read(_ lines: [[UInt8]]) throws(ExportError) -> (SegmentReader, [LedgerFields]) {
    var reader = SegmentReader()
    var found: [LedgerFields] = []
    for line in lines {
      guard let entry = try reader.read(line) else { continue }
      let fields = entry.fields.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
      found.append(LedgerFields(id: entry.id.description, fields: fields))
    }
    return (reader, found)
  }

  @Test("reads back as it was written, and the same entries give the same bytes")
  func roundTrip() throws {
    for seed in 1...200 {
      var random = SeededRandom(seed: UInt64(seed))
      let entries = Self.entries(&random, count: random.below(20))
      let lines = Self.lines(entries, from: .after(LedgerID(milliseconds: 5, sequence: 1)))
      #expect(lines == Self.lines(entries, from: .after(LedgerID(milliseconds: 5, sequence: 1))))
      let (reader, found) = try Self.read(lines)
      #expect(found == entries, "seed \(seed)")
      #expect(reader.isComplete && reader.entries == entries.count, "seed \(seed)")
      #expect(reader.start?.description == "(5-1", "seed \(seed)")
    }
  }

  @Test("a change of any byte of an entry is noticed at that entry, and names it")
  func altered() throws {
    for seed in 1...400 {
      var random = SeededRandom(seed: UInt64(seed))
      let entries = Self.entries(&random, count: 1 + random.below(12))
      var lines = Self.lines(entries)
      let victim = random.below(entries.count)
      let place = random.below(lines[victim + 1].count)
      lines[victim + 1][place] ^= UInt8(1 + random.below(255))
      do throws(ExportError) {
        _ = try Self.read(lines)
        Issue.record("seed \(seed): the change was not noticed")
      } catch {
        // A byte of the id itself may be what was changed.
        let isNamed = error.entry == entries[victim].id || error.description.contains("line \(victim + 2)")
        #expect(isNamed, "seed \(seed): \(error)")
      }
    }
  }

  @Test("an entry that is missing, moved or doubled is noticed, and so is a part taken for the whole")
  func structure() throws {
    var random = SeededRandom(seed: 11)
    let entries = Self.entries(&random, count: 6)
    let lines = Self.lines(entries)
    for place in 1...6 {
      var missing = lines
      missing.remove(at: place)
      #expect(throws: ExportError.self) { try Self.read(missing) }
      var doubled = lines
      doubled.insert(lines[place], at: place)
      #expect(throws: ExportError.self) { try Self.read(doubled) }
    }
    var moved = lines
    moved.swapAt(2, 3)
    #expect(throws: ExportError.self) { try Self.read(moved) }
    let (part, _) = try Self.read(Array(lines.dropLast()))
    #expect(!part.isComplete)
    #expect(throws: ExportError.self) { try Self.read(lines + [lines[1]]) }
  }

  @Test("another layout, and what is no segment, is said to be so")
  func foreign() {
    func problem(_ text: String) -> String {
      let body = Array(text.utf8)
      let line = Array(SegmentFormat.line(body, chain: SegmentFormat.chain("", body)).dropLast())
      do throws(ExportError) {
        _ = try Self.read([line])
        return ""
      } catch { return error.description }
    }
    #expect(
      problem(#"{"format":"vision-ledger-segment","version":2,"from":"-"}"#)
        == "it has layout 2, and this program reads layout 1")
    #expect(
      problem(#"{"format":"other","version":1}"#) == "it does not begin with the header of a ledger segment")
    #expect(
      problem(#"{"format":"vision-ledger-segment","version":1}"#)
        == "its header does not say where it begins")
  }

  @Test("a difference is named by task, miner and field")
  func difference() {
    let published =
      #"{"outcome":{"w":1},"tasks":[{"task":"chat","miners":[{"factors":{"hotkey":"a","share":1}}]}]}"#
    let recomputed =
      #"{"outcome":{"w":2},"tasks":[{"task":"chat","miners":[{"factors":{"hotkey":"a","share":0.5}}]}]}"#
    #expect(
      JSONDifference.first(published: published, recomputed: recomputed)
        == "task chat, miner a: factors.share: published 1, recomputed 0.5")
    #expect(
      JSONDifference.first(published: #"{"a":[1]}"#, recomputed: #"{"a":[1,2]}"#)
        == "a: published 1 elements, recomputed 2")
  }
}
