import Testing

@testable import Common

@Suite("Scanning JSON")
struct JSONScannerTests {
  /// Where a string ends; nil when it is malformed. `text` follows its opening quote.
  private func end(_ text: [UInt8]) -> Int? {
    ([UInt8(ascii: "\"")] + text).withUnsafeBytes { bytes in
      var scanner = JSONScanner(bytes)
      return (try? scanner?.string()).map { $0.end - 1 }
    }
  }

  @Test("a string ends at its quote, and is refused at a byte that must not be there, wherever they are")
  func strings() {
    let letter = UInt8(ascii: "a")
    for length in 0...24 {
      #expect(end([UInt8](repeating: letter, count: length)) == nil, "no quote in \(length)")
      for place in 0...length {
        for byte in UInt8.min...UInt8.max {
          // What follows the byte is what a borrow of eight bytes at a time could take for one more.
          for next in [letter, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5d, 0x7f] {
            var text = [UInt8](repeating: letter, count: length)
            text.insert(contentsOf: [byte, next], at: place)
            let quote = byte == 0x22 ? place : next == 0x22 ? place + 1 : length + 2
            text.append(0x22)
            // A byte beyond ASCII alone is none of a character, and no escape has one of these letters.
            let isAllowed = byte == 0x22 || byte >= 0x20 && byte < 0x80 && byte != 0x5c
            let isEscape = byte == 0x5c && next == 0x22
            guard !isEscape else { continue }
            #expect(end(text) == (isAllowed ? quote : nil), "\(byte) and \(next) at \(place) of \(length)")
          }
        }
      }
    }
  }

  @Test("escapes and characters of several bytes are passed over at every place")
  func escapes() {
    for length in 0...17 {
      let letters = [UInt8](repeating: 0x61, count: length)
      for middle in ["\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00", "\u{e9}", "\u{20ac}", "\u{1f600}"] {
        let text = letters + Array(middle.utf8) + letters
        #expect(end(text + [0x22]) == text.count, "\(middle) behind \(length)")
      }
    }
  }
}
