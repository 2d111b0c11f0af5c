/// What a task's work is measured in.
public enum TaskKind: String, Codable, Sendable, CaseIterable {
  /// Characters of generated text (Unicode code points); four make one unit of volume.
  case text
  /// Steps of image generation.
  case image
  /// Embeddings returned.
  case embeddings
}

/// Which request a task sends. One builder per shape serves organic and synthetic queries alike.
public enum PayloadShape: String, Codable, Sendable, CaseIterable {
  /// `messages`, answered with OpenAI chat chunks.
  case chat
  /// `prompt`, answered with OpenAI completion chunks.
  case completion
  /// `prompt`, answered with one image.
  case textToImage = "text-to-image"
  /// `prompt` and `init_image`, answered with one image.
  case imageToImage = "image-to-image"
  /// `prompt`, `init_image` and `mask_image`, answered with one image.
  case inpaint
  /// `prompt` and a portrait `init_image`, answered with one image.
  case avatar
  /// `image_b64s`, answered with one embedding for each.
  case clipEmbeddings = "clip-embeddings"

  /// What the work of such a request is measured in.
  public var kind: TaskKind {
    switch self {
    case .chat, .completion: return .text
    case .textToImage, .imageToImage, .inpaint, .avatar: return .image
    case .clipEmbeddings: return .embeddings
    }
  }
}

/// The parameters of the `vision` profile's speed factor for one task.
public struct SpeedModel: Codable, Equatable, Sendable {
  /// Seconds per unit (character, step or request) at which the factor is 1.
  public var mean: Double
  /// How fast the factor falls above the mean.
  public var variance: Double
  /// Seconds taken off the response time first.
  public var overheadSeconds: Double

  /// Names a speed model.
  public init(mean: Double, variance: Double, overheadSeconds: Double) {
    self.mean = mean
    self.variance = variance
    self.overheadSeconds = overheadSeconds
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case mean, variance
    case overheadSeconds = "overhead_seconds"
  }
}

/// The four time limits of one attempt at a miner, in milliseconds.
public struct TaskTimeouts: Codable, Equatable, Sendable {
  /// From the start to an established connection.
  public var connectMilliseconds: Int
  /// From the start to the first valid content.
  public var firstContentMilliseconds: Int
  /// The longest pause between two reads once content flows.
  public var stallMilliseconds: Int
  /// From the start to the complete answer.
  public var totalMilliseconds: Int

  /// Names four limits.
  public init(
    connectMilliseconds: Int, firstContentMilliseconds: Int, stallMilliseconds: Int, totalMilliseconds: Int
  ) {
    self.connectMilliseconds = connectMilliseconds
    self.firstContentMilliseconds = firstContentMilliseconds
    self.stallMilliseconds = stallMilliseconds
    self.totalMilliseconds = totalMilliseconds
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case connectMilliseconds = "connect_ms"
    case firstContentMilliseconds = "first_content_ms"
    case stallMilliseconds = "stall_ms"
    case totalMilliseconds = "total_ms"
  }
}

/// One task, as configured. docs/CONFIGURATION.md describes each field.
public struct TaskConfig: Codable, Equatable, Sendable {
  /// The task's name: letters, digits, `-`, `_` and `.`; it stands in job ids and Redis keys.
  public var name: String
  /// What its work is measured in.
  public var kind: TaskKind
  /// Which request it sends.
  public var shape: PayloadShape
  /// Its share of the final weight; the shares of all tasks sum to 1. Zero switches a task off.
  public var weight: Double
  /// The most volume per profile period that a claim counts for.
  public var maxCapacity: Double
  /// The volume that one synthetic query stands for.
  public var volumePerRequest: Double
  /// The path below the miner's address.
  public var path: String
  /// The model's name, as sent in the request.
  public var model: String
  /// Whether the answer is a server-sent event stream.
  public var streams: Bool
  /// Time limits of one attempt.
  public var timeouts: TaskTimeouts
  /// The speed factor's parameters; needed by the `vision` profile.
  public var speed: SpeedModel?
  /// The least and the most steps of an image request.
  public var steps: [Int]?
  /// Width and height of generated images, in pixels.
  public var size: [Int]?
  /// The least and the most tokens of a synthetic text request.
  public var maxTokens: [Int]?
  /// Sent verbatim as `server_config` to the checking server; nil when the task is never checked.
  public var checking: JSON?

  enum CodingKeys: String, CodingKey, CaseIterable {
    case name, kind, shape, weight, path, model, timeouts, speed, steps, size, checking
    case streams = "stream"
    case maxCapacity = "max_capacity"
    case volumePerRequest = "volume_per_request"
    case maxTokens = "max_tokens"
  }
}
