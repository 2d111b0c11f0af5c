import Common
import Foundation
import Testing

@testable import vision_fuzz

@Suite("Bytes that others write")
struct FuzzTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fuzz/Corpus").path()

  /// The corpus, and some mutations; scripts/fuzz does a million of each.
  @Test("break no parser and no promise of what it reads", arguments: FuzzTarget.all.map(\.name))
  func mutations(name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let corpus = try Corpus.read(name, in: Self.folder)
    let seed = UInt64.random(in: 0 ... .max)
    do throws(FuzzFinding) {
      // A build that watches memory or threads is ten times slower than the one that scripts/fuzz judges.
      try FuzzRange(
        target, seed: seed, corpus: corpus, inputMillisecondsMax: 10 * FuzzTarget.inputMillisecondsMax
      ).run(0..<250)
    } catch {
      Issue.record("scripts/fuzz \(name) --seed \(seed): \(error)")
    }
  }

  @Test("come from a corpus for each parser, and from a seed and a number alone")
  func inputs() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted()
    #expect(folders == FuzzTarget.all.map(\.name).sorted())
    let make = { Mutator(seed: $0, name: "a", corpus: [Array("abc".utf8)], tokens: ["x"]) }
    let numbers = 1..<500
    #expect(numbers.map(make(1).input) == numbers.map(make(1).input))
    #expect(numbers.map(make(1).input) != numbers.map(make(2).input))
    #expect(make(1).input(0) == Array("abc".utf8))
    let sizes = (0..<5_000).map { make(3).input($0).count }
    #expect(sizes.contains { $0 > 100_000 } && sizes.allSatisfy { $0 <= Mutator.hugeBytesMax })
  }

  @Test("that break a promise, crash or hang are found, each by its number")
  func findings() throws {
    let corpus = [Array("abc".utf8)]
    let wrong = FuzzTarget(name: "wrong", tokens: []) { bytes in
      try expect(!bytes.contains(0x7a), "a z")
    }
    let error = try #require(throws: FuzzFinding.self) {
      try FuzzRange(wrong, seed: 1, corpus: corpus).run(0..<100_000)
    }
    let number = try #require(error.description.firstMatch(of: #/^input (\d+): a z$/#)?.1)
    let input = FuzzRange(wrong, seed: 1, corpus: corpus).mutator.input(try #require(Int(number)))
    #expect(input.contains(0x7a))
  }
}
