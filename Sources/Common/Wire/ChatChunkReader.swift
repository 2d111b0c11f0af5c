import Foundation

/// One pass over a chunk: collects the places of what matters, decides at the end.
struct ChatChunkReader {
  private var scanner: JSONScanner
  private var chunk = ChatChunk()

  private var hasChoices = false
  private var deltaContent: JSONScanner.Text?
  private var choiceText: JSONScanner.Text?
  private var bareText: JSONScanner.Text?
  private var bareHasLogprobs = false
  private var isErrorObject = false
  /// An `error` that is neither null, false nor empty: its message, or all of it.
  private var error: Message?
  private var message: Message?
  private var detail: Message?

  /// A message's place: a string, or JSON to be shown as it is.
  private enum Message {
    case string(JSONScanner.Text)
    case raw(Range<Int>)
  }

  /// Most bytes of an error's message that are kept.
  static let messageBytesMax = 300

  private static let quote = UInt8(ascii: "\"")
  private static let openBrace = UInt8(ascii: "{")
  private static let closeBrace = UInt8(ascii: "}")
  private static let closeBracket = UInt8(ascii: "]")

  init(_ scanner: JSONScanner) { self.scanner = scanner }

  // MARK: the pass

  mutating func readTop() throws(JSONScanner.Malformed) {
    guard try scanner.peek() == Self.openBrace else { throw JSONScanner.Malformed() }
    var more = try scanner.enter(closing: Self.closeBrace)
    while more {
      let key = try scanner.key()
      try readTopValue(key)
      more = try scanner.nextItem(closing: Self.closeBrace)
    }
    try scanner.end()
  }

  private mutating func readTopValue(_ key: JSONScanner.Text) throws(JSONScanner.Malformed) {
    if scanner.equals(key, "choices") {
      try readChoices()
    } else if scanner.equals(key, "text") {
      bareText = try stringOrNull()
    } else if scanner.equals(key, "logprobs") || scanner.equals(key, "logprob") {
      bareHasLogprobs = try isPresent(depth: 1)
    } else if scanner.equals(key, "usage") {
      chunk.hasUsage = try isPresent(depth: 1)
    } else if scanner.equals(key, "object") {
      isErrorObject = false
      if case .string(let text)? = try readMessage() { isErrorObject = scanner.equals(text, "error") }
    } else if scanner.equals(key, "error") {
      error = try readError()
    } else if scanner.equals(key, "message") {
      message = try readMessage()
    } else if scanner.equals(key, "detail") {
      detail = try readMessage()
    } else {
      try scanner.skip(depth: 1)
    }
  }

  private mutating func readChoices() throws(JSONScanner.Malformed) {
    // The last "choices" wins: forget what an earlier one said.
    hasChoices = false
    deltaContent = nil
    choiceText = nil
    chunk.logprobs = nil
    chunk.finishReason = nil
    chunk.hasFinishReason = false
    if try scanner.skipNull() { return }
    guard try scanner.peek() == UInt8(ascii: "[") else { throw JSONScanner.Malformed() }
    hasChoices = true
    var isFirst = true
    var more = try scanner.enter(closing: Self.closeBracket)
    while more {
      guard try scanner.peek() == Self.openBrace else { throw JSONScanner.Malformed() }
      try readChoice(isFirst: isFirst)
      isFirst = false
      more = try scanner.nextItem(closing: Self.closeBracket)
    }
  }

  private mutating func readChoice(isFirst: Bool) throws(JSONScanner.Malformed) {
    var more = try scanner.enter(closing: Self.closeBrace)
    while more {
      let key = try scanner.key()
      if isFirst { try readChoiceValue(key) } else { try scanner.skip(depth: 3) }
      more = try scanner.nextItem(closing: Self.closeBrace)
    }
  }

  private mutating func readChoiceValue(_ key: JSONScanner.Text) throws(JSONScanner.Malformed) {
    if scanner.equals(key, "delta") {
      try readDelta()
    } else if scanner.equals(key, "text") {
      choiceText = try stringOrNull()
    } else if scanner.equals(key, "finish_reason") {
      try readFinishReason()
    } else if scanner.equals(key, "logprobs") {
      chunk.logprobs = try place(depth: 3)
    } else {
      try scanner.skip(depth: 3)
    }
  }

  private mutating func readFinishReason() throws(JSONScanner.Malformed) {
    chunk.finishReason = nil
    guard try scanner.peek() == Self.quote else {
      chunk.hasFinishReason = try isPresent(depth: 3)
      return
    }
    let text = try scanner.string()
    chunk.hasFinishReason = true
    chunk.finishReason = text.start..<text.end
  }

  private mutating func readDelta() throws(JSONScanner.Malformed) {
    deltaContent = nil
    if try scanner.skipNull() { return }
    guard try scanner.peek() == Self.openBrace else { throw JSONScanner.Malformed() }
    var more = try scanner.enter(closing: Self.closeBrace)
    while more {
      let key = try scanner.key()
      if scanner.equals(key, "content") {
        deltaContent = try stringOrNull()
      } else {
        try scanner.skip(depth: 4)
      }
      more = try scanner.nextItem(closing: Self.closeBrace)
    }
  }

  // MARK: pieces

  private mutating func stringOrNull() throws(JSONScanner.Malformed) -> JSONScanner.Text? {
    if try scanner.skipNull() { return nil }
    guard try scanner.peek() == Self.quote else { throw JSONScanner.Malformed() }
    return try scanner.string()
  }

  /// Passes a value and says whether it is anything but null.
  private mutating func isPresent(depth: Int) throws(JSONScanner.Malformed) -> Bool {
    if try scanner.skipNull() { return false }
    try scanner.skip(depth: depth)
    return true
  }

  /// Passes a value and says where it stands; nil for null.
  private mutating func place(depth: Int) throws(JSONScanner.Malformed) -> Range<Int>? {
    if try scanner.skipNull() { return nil }
    _ = try scanner.peek()
    let start = scanner.position
    try scanner.skip(depth: depth)
    return start..<scanner.position
  }

  /// Reads a value as a message; nil for null, false and the empty string.
  private mutating func readMessage(depth: Int = 1) throws(JSONScanner.Malformed) -> Message? {
    let first = try scanner.peek()
    if first == Self.quote {
      let text = try scanner.string()
      return text.start == text.end ? nil : .string(text)
    }
    let start = scanner.position
    try scanner.skip(depth: depth)
    let isNothing = first == UInt8(ascii: "n") || first == UInt8(ascii: "f")
    return isNothing ? nil : .raw(start..<scanner.position)
  }

  /// Reads an `error`: of an object, its own message if it has one.
  private mutating func readError() throws(JSONScanner.Malformed) -> Message? {
    guard try scanner.peek() == Self.openBrace else { return try readMessage() }
    let start = scanner.position
    var inner: Message?
    var more = try scanner.enter(closing: Self.closeBrace)
    while more {
      let key = try scanner.key()
      if scanner.equals(key, "message") {
        inner = try readMessage(depth: 2)
      } else {
        try scanner.skip(depth: 2)
      }
      more = try scanner.nextItem(closing: Self.closeBrace)
    }
    return inner ?? .raw(start..<scanner.position)
  }

  // MARK: the verdict

  /// What the chunk is; only after a pass that did not throw.
  func chunk(of bytes: UnsafeRawBufferPointer, text: inout [UInt8]) -> ChatChunk {
    var chunk = chunk
    let isBare = !hasChoices && bareText != nil
    let isOnlyMessage = !hasChoices && bareText == nil && (message ?? detail) != nil
    if error != nil || isErrorObject || isOnlyMessage {
      chunk.kind = .error
      append(error ?? message ?? detail, of: bytes, to: &text)
      return chunk
    }
    chunk.hasLogprobs = isBare ? bareHasLogprobs : chunk.logprobs != nil
    if let found = isBare ? bareText : nonEmpty(deltaContent) ?? choiceText {
      scanner.append(found, to: &text)
      for byte in text where byte & 0xc0 != 0x80 { chunk.codePoints += 1 }
      if chunk.codePoints > 0 { chunk.content = found.start..<found.end }
    }
    chunk.kind = chunk.codePoints > 0 ? .content : .empty
    return chunk
  }

  private func nonEmpty(_ text: JSONScanner.Text?) -> JSONScanner.Text? {
    text.flatMap { $0.start == $0.end ? nil : $0 }
  }

  private func append(_ message: Message?, of bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
    switch message {
    case .string(let place): scanner.append(place, to: &text)
    case .raw(let range): text.append(contentsOf: bytes[range])
    case nil: return
    }
    guard text.count > Self.messageBytesMax else { return }
    var end = Self.messageBytesMax
    while end > 0, text[end] & 0xc0 == 0x80 { end -= 1 }
    text.removeSubrange(end...)
  }
}
