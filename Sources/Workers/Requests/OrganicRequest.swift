import Common
import Foundation

/// Reads a user's payload into the parameters that a miner is asked with. Unknown fields are ignored:
/// gateways pass through what OpenAI clients send.
package enum OrganicRequest {
  /// Why a payload cannot be served.
  package struct Invalid: Error, Equatable, CustomStringConvertible {
    /// The field that is wrong.
    let field: String
    /// What is wrong with it.
    let problem: String
    package var description: String { "\(field): \(problem)" }
  }

  /// Most messages of a chat.
  static let messagesMax = 1000

  /// The parameters for a task.
  /// - Parameter random: draws the seed where the user gives none, as for synthetic queries.
  package static func parameters(
    _ task: TaskConfig, payload: [UInt8], random: inout SeededRandom
  ) throws(Invalid) -> QueryParameters {
    guard let json = try? JSON(parsing: Data(payload)), case .object = json else {
      throw Invalid(field: "payload", problem: "is no JSON object")
    }
    var parameters = QueryParameters()
    let seed = try integer(json, "seed", in: 0...Int(Int32.max))
    parameters.seed = seed ?? random.below(QueryParameters.seedMax)
    switch task.shape {
    case .chat:
      parameters.messages = try messages(json)
      try readText(json, task, &parameters)
    case .completion:
      parameters.prompt = try required(json, "prompt")
      try readText(json, task, &parameters)
    case .textToImage, .imageToImage, .inpaint, .avatar:
      try readImage(json, task, &parameters)
    case .clipEmbeddings:
      guard case .array(let images)? = json["image_b64s"], (1...16).contains(images.count) else {
        throw Invalid(field: "image_b64s", problem: "must be a list of 1 to 16 pictures")
      }
      parameters.images = images.compactMap(\.text)
      guard parameters.images.count == images.count else {
        throw Invalid(field: "image_b64s", problem: "must hold text only")
      }
    }
    return parameters
  }

  private static func readText(
    _ json: JSON, _ task: TaskConfig, _ parameters: inout QueryParameters
  ) throws(Invalid) {
    parameters.temperature = try number(json, "temperature", in: 0...2) ?? 0.5
    parameters.topP = try number(json, "top_p", in: 0...1) ?? 1
    let most = try integer(json, "max_tokens", in: 1...100_000)
    let mostToComplete = try integer(json, "max_completion_tokens", in: 1...100_000)
    parameters.maxTokens = most ?? mostToComplete ?? 512
    // A chat says true, a completion how many.
    parameters.wantsLogprobs = json["logprobs"]?.flag ?? ((json["logprobs"]?.int ?? 0) > 0)
    parameters.wantsUsage = json["stream_options"]?["include_usage"]?.flag ?? false
  }

  private static func readImage(
    _ json: JSON, _ task: TaskConfig, _ parameters: inout QueryParameters
  ) throws(Invalid) {
    parameters.prompt = try required(json, "prompt")
    parameters.negativePrompt = json["negative_prompt"]?.text ?? ""
    let steps = task.steps ?? [1, 100]
    let low = steps.first ?? 1
    let range = low...max(low, steps.last ?? 100)
    parameters.steps = try integer(json, "steps", in: range) ?? range.lowerBound
    parameters.cfgScale = try number(json, "cfg_scale", in: 0...20) ?? 3
    parameters.width = try integer(json, "width", in: 64...4096) ?? task.size?.first ?? 1024
    parameters.height = try integer(json, "height", in: 64...4096) ?? task.size?.last ?? 1024
    parameters.imageStrength = try number(json, "image_strength", in: 0...1) ?? 0.5
    parameters.ipadapterStrength = try number(json, "ipadapter_strength", in: 0...1) ?? 0.5
    parameters.controlStrength = try number(json, "control_strength", in: 0...1) ?? 0.5
    if task.shape != .textToImage { parameters.initImage = try required(json, "init_image") }
    if task.shape == .inpaint { parameters.maskImage = try required(json, "mask_image") }
  }

  private static func messages(_ json: JSON) throws(Invalid) -> [ChatMessage] {
    guard case .array(let list)? = json["messages"], (1...messagesMax).contains(list.count) else {
      throw Invalid(field: "messages", problem: "must be a list of 1 to \(messagesMax) messages")
    }
    var messages: [ChatMessage] = []
    for (index, item) in list.enumerated() {
      guard let role = item["role"]?.text, let content = item["content"]?.text else {
        throw Invalid(field: "messages[\(index)]", problem: "must have the texts 'role' and 'content'")
      }
      messages.append(ChatMessage(role: role, content: content))
    }
    return messages
  }

  private static func required(_ json: JSON, _ field: String) throws(Invalid) -> String {
    guard let text = json[field]?.text, !text.isEmpty else {
      throw Invalid(field: field, problem: "must be a text that is not empty")
    }
    return text
  }

  private static func number(
    _ json: JSON, _ field: String, in range: ClosedRange<Double>
  ) throws(Invalid) -> Double? {
    guard let value = json[field], value != .null else { return nil }
    guard let number = value.double, range.contains(number) else {
      throw Invalid(field: field, problem: "must be a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  private static func integer(
    _ json: JSON, _ field: String, in range: ClosedRange<Int>
  ) throws(Invalid) -> Int? {
    guard let value = json[field], value != .null else { return nil }
    guard let number = value.int, range.contains(number) else {
      throw Invalid(
        field: field, problem: "must be an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
