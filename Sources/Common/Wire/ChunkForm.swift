/// How the chunks of a text answer are written for a user. What miners write is taken apart and only its text,
/// its finish reason and, when asked for, its log probabilities are kept: the rest of a miner's chunk never
/// reaches a user, whatever it holds.
///
/// The shapes are OpenAI's: `chat.completion.chunk` and `chat.completion`, `text_completion` for both.
public struct ChunkForm: Sendable {
  /// Tokens as the validator counted them.
  public struct Usage: Sendable, Equatable {
    /// About a token for four characters of the prompt.
    public var promptTokens: Int
    /// Chunks with text.
    public var completionTokens: Int

    /// Names two counts.
    public init(promptTokens: Int, completionTokens: Int) {
      self.promptTokens = promptTokens
      self.completionTokens = completionTokens
    }
  }

  /// What all answers of a task have in common.
  public final class Frame: Sendable {
    fileprivate let isChat: Bool
    /// `,"model":…,"choices":[`, and what stands around the text of a chunk that has nothing else: nearly all are such.
    fileprivate let model: [UInt8]
    fileprivate let textStart: [UInt8]
    fileprivate let textEnd: [UInt8]

    /// The frame of a task's answers.
    /// - Parameters:
    ///   - model: the model's name.
    ///   - isChat: a chat's shape, else a completion's.
    public init(model: String, isChat: Bool) {
      self.isChat = isChat
      self.model = Array(",\"model\":".utf8) + ChunkForm.quoted(model) + Array(",\"choices\":[".utf8)
      textStart =
        self.model
        + Array((isChat ? "{\"index\":0,\"delta\":{\"content\":\"" : "{\"index\":0,\"text\":\"").utf8)
      textEnd = Array((isChat ? "\"}" : "\"").utf8) + Array(",\"finish_reason\":null}]}\n\n".utf8)
    }
  }

  private let frame: Frame
  private let keepsLogprobs: Bool
  private let id: String
  private let createdSeconds: Int
  /// `data: {"id":…,"object":…,"created":…` of a chunk.
  private let eventStart: [UInt8]

  /// The form of one answer.
  /// - Parameters:
  ///   - id: the request's id.
  ///   - createdSeconds: Unix time of the answer.
  ///   - keepsLogprobs: whether the user asked for log probabilities.
  public init(id: String, frame: Frame, createdSeconds: Int, keepsLogprobs: Bool) {
    self.frame = frame
    self.keepsLogprobs = keepsLogprobs
    self.id = id
    self.createdSeconds = createdSeconds
    let object = frame.isChat ? "chat.completion.chunk" : "text_completion"
    eventStart = Array("data: ".utf8) + ChunkForm.start(id, object, createdSeconds)
  }

  private static func start(_ id: String, _ object: String, _ createdSeconds: Int) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("id", id)
    json.member("object", object)
    json.member("created", createdSeconds)
    return json.bytes
  }

  private static func quoted(_ text: String) -> [UInt8] {
    var writer = JSONWriter()
    writer.string(text)
    return writer.bytes
  }

  private static let eventEnd = Array("\n\n".utf8)

  private var isChat: Bool { frame.isChat }

  private func begin(_ output: inout [UInt8]) {
    output += eventStart
    output += frame.model
  }

  // MARK: events

  /// Appends a chunk as one event; nothing when it has neither text nor a finish reason.
  /// - Parameters:
  ///   - bytes: the bytes that were scanned.
  ///   - isFirst: whether it is the answer's first event.
  public func append(
    _ chunk: ChatChunk, of bytes: UnsafeRawBufferPointer, isFirst: Bool, to output: inout [UInt8]
  ) {
    guard chunk.kind == .content || chunk.kind == .empty, chunk.content != nil || chunk.finishReason != nil
    else { return }
    let hasLogprobs = keepsLogprobs && chunk.logprobs != nil
    if !isFirst, !hasLogprobs, chunk.finishReason == nil, let content = chunk.content {
      output += eventStart
      output += frame.textStart
      output += UnsafeRawBufferPointer(rebasing: bytes[content])
      output += frame.textEnd
      return
    }
    begin(&output)
    output += isChat ? "{\"index\":0,\"delta\":{".utf8 : "{\"index\":0,\"text\":\"".utf8
    if isChat, isFirst { output += "\"role\":\"assistant\",".utf8 }
    if isChat, isFirst || chunk.content != nil { output += "\"content\":\"".utf8 }
    if let content = chunk.content { output += bytes[content] }
    if isChat, isFirst || chunk.content != nil { output += "\"".utf8 }
    output += isChat ? "}".utf8 : "\"".utf8
    if keepsLogprobs, let place = chunk.logprobs {
      output += ",\"logprobs\":".utf8
      ChunkForm.appendOnOneLine(bytes[place], to: &output)
    }
    output += ",\"finish_reason\":".utf8
    if let reason = chunk.finishReason {
      output += "\"".utf8
      output += bytes[reason]
      output += "\"".utf8
    } else {
      output += "null".utf8
    }
    output += "}]}".utf8
    output += ChunkForm.eventEnd
  }

  /// Line ends can only be white space between tokens here, and would break the framing of events.
  private static func appendOnOneLine(_ bytes: Slice<UnsafeRawBufferPointer>, to output: inout [UInt8]) {
    for byte in bytes { output.append(byte == 0x0a || byte == 0x0d ? 0x20 : byte) }
  }

  /// The events that end a stream: a finish reason if none came, the usage if it was asked for, `[DONE]`.
  public func end(hasFinishReason: Bool, usage: Usage?) -> [UInt8] {
    var output: [UInt8] = []
    if !hasFinishReason {
      begin(&output)
      output += isChat ? "{\"index\":0,\"delta\":{}".utf8 : "{\"index\":0,\"text\":\"\"".utf8
      output += ",\"finish_reason\":\"stop\"}]}".utf8
      output += ChunkForm.eventEnd
    }
    if let usage {
      begin(&output)
      output += "]".utf8
      output += ChunkForm.text(usage)
      output += "}".utf8
      output += ChunkForm.eventEnd
    }
    return output + Array("data: [DONE]\n\n".utf8)
  }

  private static func text(_ usage: Usage) -> [UInt8] {
    let total = usage.promptTokens + usage.completionTokens
    return Array(
      (",\"usage\":{\"prompt_tokens\":\(usage.promptTokens),"
        + "\"completion_tokens\":\(usage.completionTokens),\"total_tokens\":\(total)}").utf8)
  }

  // MARK: one JSON

  /// An answer that is given as a whole, as it grows.
  public struct Collected: Sendable {
    /// The text as it stands between quotes.
    fileprivate var text: [UInt8] = []
    fileprivate var logprobs: [[UInt8]] = []
    fileprivate var finishReason: [UInt8]?

    /// Nothing yet.
    public init() {}
  }

  /// Adds a chunk.
  public func collect(_ chunk: ChatChunk, of bytes: UnsafeRawBufferPointer, into answer: inout Collected) {
    if let content = chunk.content { answer.text += bytes[content] }
    if keepsLogprobs, let place = chunk.logprobs { answer.logprobs.append(Array(bytes[place])) }
    if let reason = chunk.finishReason { answer.finishReason = Array(bytes[reason]) }
  }

  /// The whole answer.
  public func whole(_ answer: Collected, usage: Usage) -> [UInt8] {
    var output = ChunkForm.start(id, isChat ? "chat.completion" : "text_completion", createdSeconds)
    output += frame.model
    output +=
      isChat
      ? "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"".utf8
      : "{\"index\":0,\"text\":\"".utf8
    output += answer.text
    output += isChat ? "\"}".utf8 : "\"".utf8
    output += ",\"logprobs\":".utf8
    output += ChunkForm.joined(answer.logprobs)
    output += ",\"finish_reason\":\"".utf8
    output += answer.finishReason ?? Array("stop".utf8)
    output += "\"}]".utf8
    output += ChunkForm.text(usage)
    output += "}".utf8
    return output
  }

  /// Log probabilities of many chunks as those of one: lists of the same name follow each other.
  private static func joined(_ parts: [[UInt8]]) -> [UInt8] {
    var lists: [String: [JSON]] = [:]
    for part in parts {
      guard case .object(let members)? = try? JSON(parsing: .init(part)) else { continue }
      for case (let name, .array(let items)) in members { lists[name, default: []] += items }
    }
    guard !lists.isEmpty else { return Array("null".utf8) }
    return Array(JSON.object(lists.mapValues(JSON.array)).canonicalText().utf8)
  }
}
