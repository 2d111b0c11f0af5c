import Common
import Foundation

/// What simulated miners know of the subnet: the profile, for the length of its period, and the tasks.
struct SimulatedSubnet {
  var profile: ProfileName
  var tasks: [TaskConfig]
  var validatorHotkey: String?

  /// Whether miners state a type and serve tasks of that type only (rayonlabs/nineteen, `/capacity`).
  var hasMinerTypes: Bool { profile == .nineteen }

  /// The subnet that the validator's task table describes.
  init(_ config: SubnetConfig) {
    profile = config.profile
    tasks = config.tasks
    validatorHotkey = config.validatorHotkey
  }

  /// One task of every shape.
  init(profile: ProfileName = .vision) {
    self.profile = profile
    tasks = SimulatedSubnet.defaultTasks
  }

  private static let defaultTasks: [TaskConfig] = [
    task("chat-llama-3", .text, .chat, 0.3, 576_000, 300, "/chat/completions"),
    task("chat-llama-3-comp", .text, .completion, 0.1, 576_000, 300, "/completions"),
    task("proteus-text-to-image", .image, .textToImage, 0.2, 3600, 10, "/text-to-image"),
    task("proteus-image-to-image", .image, .imageToImage, 0.1, 3600, 10, "/image-to-image"),
    task("inpaint", .image, .inpaint, 0.1, 4000, 20, "/inpaint"),
    task("avatar", .image, .avatar, 0.1, 1120, 10, "/avatar"),
    task("clip-image-embeddings", .embeddings, .clipEmbeddings, 0.1, 3600, 1, "/clip-embeddings"),
  ]

  private static func task(
    _ name: String, _ kind: TaskKind, _ shape: PayloadShape, _ weight: Double, _ maxCapacity: Double,
    _ volumePerRequest: Double, _ path: String
  ) -> TaskConfig {
    let timeouts = ["connect_ms": 1000, "first_content_ms": 2000, "stall_ms": 5000, "total_ms": 60_000]
    let fields: [String: JSON] = [
      "name": .string(name), "kind": .string(kind.rawValue), "shape": .string(shape.rawValue),
      "weight": .number(weight), "max_capacity": .number(maxCapacity), "path": .string(path),
      "volume_per_request": .number(volumePerRequest), "model": .string(name),
      "stream": .bool(kind == .text), "timeouts": .object(timeouts.mapValues(JSON.integer)),
    ]
    do {
      return try JSONDecoder().decode(TaskConfig.self, from: Data(JSON.object(fields).canonicalText().utf8))
    } catch {
      preconditionFailure("the table above lacks a field: \(error)")
    }
  }
}
