import Common

/// One message of a chat.
struct ChatMessage: Equatable {
  var role: String
  var content: String
}

/// All that a request to a miner can say, whoever asks. Organic and synthetic queries differ only in where
/// these values come from; one encoder writes both.
package struct QueryParameters: Equatable {
  var messages: [ChatMessage] = []
  var prompt = ""
  var negativePrompt = ""
  var temperature = 0.5
  var topP = 1.0
  package var maxTokens = 512
  package var seed = 0
  var steps = 8
  var cfgScale = 3.0
  var width = 1024
  var height = 1024
  var imageStrength = 0.5
  var ipadapterStrength = 0.5
  var controlStrength = 0.5
  /// Pictures in base64.
  var initImage = ""
  var maskImage = ""
  var images: [String] = []

  /// Whether the user wants to see log probabilities and, at a stream's end, the usage. Every miner is asked
  /// the same, whatever these say.
  var wantsLogprobs = false
  var wantsUsage = false

  /// Tokens of the prompt, by the rule that four characters make about one.
  var promptTokens: Int {
    let characters = messages.reduce(Self.characters(prompt)) { $0 + Self.characters($1.content) }
    return characters == 0 ? 0 : max(1, characters / 4)
  }

  /// Unicode scalars: bytes of UTF-8 that begin one.
  private static func characters(_ text: String) -> Int {
    var text = text
    return text.withUTF8 { bytes in bytes.reduce(0) { $0 + ($1 & 0xc0 != 0x80 ? 1 : 0) } }
  }

  /// Seeds are drawn from 0 up to this, for users and tests alike.
  static let seedMax = 100_000_000
}
