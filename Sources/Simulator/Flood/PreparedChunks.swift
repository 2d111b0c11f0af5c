/// HTTP chunks of equal length one after the other, each with one event of one token, so that any run of
/// them is one slice.
struct PreparedChunks {
  let count: Int
  private let length: Int
  private let bytes: [UInt8]

  /// - Parameter areNumbered: each token's text is its number, in five digits and a space, so that a reader
  ///   sees what is missing or twice; otherwise all are alike.
  init(count: Int, areNumbered: Bool) {
    let format = ChunkFormat(id: "chatcmpl-flood", model: "flood", isChat: true)
    func chunk(_ number: Int) -> [UInt8] {
      var event: [UInt8] = []
      if areNumbered {
        let digits = String(number)
        let text = String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits + " "
        format.append(text: Array(text.utf8), logprobThousandths: -20, to: &event)
      } else {
        format.append(SampledToken(index: 0, logprobThousandths: -20), to: &event)
      }
      return Array("\(String(event.count, radix: 16))\r\n".utf8) + event + [13, 10]
    }
    self.count = count
    length = chunk(0).count
    bytes =
      areNumbered
      ? Array((0..<count).map(chunk).joined()) : Array(repeatElement(chunk(0), count: count).joined())
  }

  /// The bytes of these chunks.
  func chunks(_ numbers: Range<Int>) -> ArraySlice<UInt8> {
    bytes[(numbers.lowerBound * length)..<(numbers.upperBound * length)]
  }
}
