import Common
import Foundation

/// Draws the parameters of a synthetic query. Pure: the same job and seed give the same query, so that a
/// query can be built when it is claimed and need not be stored.
///
/// The shapes follow the earlier validator (rayonlabs/nineteen, validator/utils/synthetic): conversations
/// of 2 to 10 messages that end with the user, a mixed distribution of lengths, temperatures of one digit.
struct SyntheticQuery {
  let corpus: Corpus
  /// How users ask; nil for the distributions above.
  var shapes: QueryShapes?

  /// The parameters of one planned query. No two planned queries of a period are equal.
  func parameters(_ task: TaskConfig, job: SyntheticJob, seed: UInt64) -> QueryParameters {
    parameters(task, id: job.description, seed: seed)
  }

  /// The same, by the job's id.
  func parameters(_ task: TaskConfig, id: String, seed: UInt64) -> QueryParameters {
    var random = SeededRandom(seed: seed, id)
    var parameters = QueryParameters()
    parameters.seed = random.below(QueryParameters.seedMax)
    let row = shapes?.draw(task: task.name, &random)
    switch task.shape {
    case .chat:
      parameters.messages = conversation(row, &random)
      drawTextParameters(&parameters, task, &random)
    case .completion:
      parameters.prompt = text(words: row?.words ?? SyntheticQuery.words(&random), &random)
      drawTextParameters(&parameters, task, &random)
    case .textToImage, .imageToImage, .inpaint, .avatar:
      drawImageParameters(&parameters, task, &random)
    case .clipEmbeddings:
      parameters.images = (0...random.below(2)).map { _ in Picture.draw(&random).base64PNG() }
    }
    if let row { SyntheticQuery.apply(row, &parameters) }
    return parameters
  }

  private static func apply(_ row: QueryShapes.Row, _ parameters: inout QueryParameters) {
    parameters.temperature = row.temperature ?? parameters.temperature
    parameters.topP = row.topP ?? parameters.topP
    parameters.maxTokens = row.maxTokens ?? parameters.maxTokens
    parameters.seed = row.seed ?? parameters.seed
    parameters.steps = row.steps ?? parameters.steps
    parameters.cfgScale = row.cfgScale ?? parameters.cfgScale
    parameters.width = row.width ?? parameters.width
    parameters.height = row.height ?? parameters.height
  }

  private func drawTextParameters(
    _ parameters: inout QueryParameters, _ task: TaskConfig, _ random: inout SeededRandom
  ) {
    parameters.temperature = (random.uniform() * 10).rounded() / 10
    parameters.maxTokens = draw(task.maxTokens ?? [50, 2000], &random)
  }

  private func drawImageParameters(
    _ parameters: inout QueryParameters, _ task: TaskConfig, _ random: inout SeededRandom
  ) {
    parameters.prompt = corpus.imagePrompt(&random)
    parameters.steps = draw(task.steps ?? [8, 8], &random)
    let size = task.size ?? [1024, 1024]
    parameters.width = size[0]
    parameters.height = size.count > 1 ? size[1] : size[0]
    parameters.cfgScale = task.shape == .textToImage ? 3.0 : 2.0
    if task.shape != .textToImage { parameters.initImage = Picture.draw(&random).base64PNG() }
    if task.shape == .inpaint { parameters.maskImage = Picture.mask(&random).base64PNG() }
  }

  private func conversation(_ row: QueryShapes.Row?, _ random: inout SeededRandom) -> [ChatMessage] {
    let words = row?.words ?? SyntheticQuery.words(&random)
    // An odd number after the system's message, so that the user has the last word.
    let turns = row?.messages ?? (1 + 2 * random.below(5))
    var messages: [ChatMessage] = []
    if row?.system ?? true { messages.append(ChatMessage(role: "system", content: corpus.sentence(&random))) }
    for turn in 0..<turns {
      let content = text(words: max(5, words / turns), &random)
      messages.append(ChatMessage(role: turn % 2 == 0 ? "user" : "assistant", content: content))
    }
    return messages
  }

  private func text(words: Int, _ random: inout SeededRandom) -> String {
    // The first sentence carries a drawn number: no two prompts are alike, so no answer can be reused.
    var sentences = [corpus.distinctSentence(&random)]
    var count = Self.words(in: sentences[0])
    while count < words {
      let next = corpus.sentence(&random)
      sentences.append(next)
      count += Self.words(in: next)
    }
    return sentences.joined(separator: " ")
  }

  /// What stands between spaces. By bytes: a split by characters was most of a prompt's making.
  private static func words(in text: String) -> Int {
    let space = UInt8(ascii: " ")
    var (count, last) = (0, space)
    for byte in text.utf8 {
      if last == space && byte != space { count += 1 }
      last = byte
    }
    return count
  }

  private func draw(_ range: [Int], _ random: inout SeededRandom) -> Int {
    let low = range.first ?? 1
    return low + random.below(max(1, (range.last ?? low) - low + 1))
  }

  /// The words of a prompt: 0.3 Normal(1000, 850) + 0.7 Gamma(shape 0.5, mean 1000), between 20 and 2000.
  static func words(_ random: inout SeededRandom) -> Int {
    let normal = 1000 + 850 * gaussian(&random)
    // A gamma variable of shape one half is half a squared standard normal, times its scale.
    let standard = gaussian(&random)
    let gamma = 2000 * standard * standard / 2
    return min(2000, max(20, Int(0.3 * normal + 0.7 * gamma)))
  }

  /// A standard normal variable (Box and Muller 1958).
  private static func gaussian(_ random: inout SeededRandom) -> Double {
    let radius = (-2 * log(1 - random.uniform())).squareRoot()
    return radius * cos(2 * Double.pi * random.uniform())
  }
}
