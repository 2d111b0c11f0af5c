import Common

/// Makes inputs out of a corpus: pure, so that a seed and a number give the same input on every machine.
struct Mutator {
  /// Most bytes of nearly all inputs.
  static let usualBytesMax = 4_096
  /// Most bytes of one input in a thousand: beyond the parsers' own limits.
  static let hugeBytesMax = 400_000

  private let seed: UInt64
  private let name: String
  private let corpus: [[UInt8]]
  private let tokens: [[UInt8]]

  /// Mutations of `corpus`, with words that mean something to the parser in hand.
  init(seed: UInt64, name: String, corpus: [[UInt8]], tokens: [String]) {
    precondition(!corpus.isEmpty, "no corpus for \(name)")
    self.seed = seed
    self.name = name
    self.corpus = corpus
    self.tokens = (tokens + Mutator.numbers).map { Array($0.utf8) } + Mutator.fragments
  }

  private static let numbers = [
    "-1", "0", "1", "-0", "1e308", "1e309", "-1e400", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "18446744073709551616", "2147483648", "4294967296", "0.1", "1e-400", "NaN",
    "Infinity", "000", "1.", ".5", "1e", "0x10",
  ]
  private static let fragments: [[UInt8]] = [
    [0], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
    [0xef, 0xbb, 0xbf],
    [0xf0, 0x9f, 0x98, 0x80], [0x0d, 0x0a], [0x0a, 0x0a], [0x5c], [0x22],
    [0x5c, 0x75, 0x44, 0x38, 0x30, 0x30],
  ]

  /// The input with this number; the corpus itself comes first.
  func input(_ number: Int) -> [UInt8] {
    if number < corpus.count { return corpus[number] }
    var random = SeededRandom(seed: seed, name, String(number))
    var bytes = corpus[random.below(corpus.count)]
    for _ in 0...random.below(6) { change(&bytes, &random) }
    if random.below(1_000) == 0 {
      let block = bytes.isEmpty ? [0x5b] : bytes
      while bytes.count < Mutator.hugeBytesMax / 2 { bytes += bytes.isEmpty ? block : bytes }
    }
    let most = bytes.count > 100_000 ? Mutator.hugeBytesMax : Mutator.usualBytesMax
    return bytes.count > most ? Array(bytes[..<most]) : bytes
  }

  private func change(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
    let place = random.below(bytes.count + 1)
    let range = place..<min(bytes.count, place + 1 + random.below(16))
    switch random.below(11) {
    case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.below(8))
    case 1 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 2, 3: bytes.insert(contentsOf: tokens[random.below(tokens.count)], at: place)
    case 4: bytes.removeSubrange(range)
    case 5: bytes.insert(contentsOf: bytes[range], at: random.below(bytes.count + 1))
    case 6:
      let other = corpus[random.below(corpus.count)]
      bytes = Array(bytes[..<place]) + other.dropFirst(random.below(other.count + 1))
    case 7: bytes.removeSubrange(place...)
    case 8:
      // Depth, and many of one thing.
      let block = Array(bytes[range])
      for _ in 0..<random.below(200) where bytes.count < Mutator.usualBytesMax {
        bytes.insert(contentsOf: block, at: place)
      }
    case 9: replaceNumber(&bytes, from: place, &random)
    default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
    }
  }

  /// The next run of digits becomes another number.
  private func replaceNumber(_ bytes: inout [UInt8], from place: Int, _ random: inout SeededRandom) {
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
    let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
    bytes.replaceSubrange(start..<end, with: Mutator.numbers[random.below(Mutator.numbers.count)].utf8)
  }
}
