import Common

/// How a user gets an answer: as events while it comes, or as one JSON at its end.
struct ReplyForm {
  /// Whether the answer is shown as it comes. What was not shown may still be asked of another miner.
  let streams: Bool
  private let wantsUsage: Bool
  private let form: ChunkForm
  private var hasBegun = false
  private var hasFinishReason = false
  private var collected = ChunkForm.Collected()

  /// The form of the answer to a user's request.
  init(_ grant: Grant, _ task: LoadedTask, _ parameters: QueryParameters, nowMilliseconds: Int) {
    streams = grant.streams && task.config.streams
    wantsUsage = parameters.wantsUsage
    form = ChunkForm(
      id: grant.id, frame: task.frame, createdSeconds: nowMilliseconds / 1000,
      keepsLogprobs: parameters.wantsLogprobs)
  }

  /// Takes a chunk of the miner's stream and adds what the user is to see of it now.
  mutating func add(_ chunk: ChatChunk, of bytes: UnsafeRawBufferPointer, to piece: inout [UInt8]) {
    guard streams else { return form.collect(chunk, of: bytes, into: &collected) }
    // Nothing before the first text: another miner may answer in the end.
    guard hasBegun || chunk.kind == .content else { return }
    form.append(chunk, of: bytes, isFirst: !hasBegun, to: &piece)
    hasBegun = true
    if chunk.finishReason != nil { hasFinishReason = true }
  }

  /// What the user sees at the end of a good answer.
  func end(_ usage: ChunkForm.Usage) -> [UInt8] {
    streams
      ? form.end(hasFinishReason: hasFinishReason, usage: wantsUsage ? usage : nil)
      : form.whole(collected, usage: usage)
  }
}
