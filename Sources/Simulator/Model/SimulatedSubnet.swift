import Common
import Foundation

/// What simulated miners take from the validator's configuration file: the profile, for the length of
/// its period, and the tasks. The rest of the file is none of their business.
struct SimulatedSubnet {
  var profile: String
  var tasks: [TaskConfig]

  /// Seconds that a claim refers to: an hour in `vision`, half an hour in `nineteen`
  /// (namoray/vision and rayonlabs/nineteen, `core/constants.py`).
  var profilePeriodSeconds: Int { profile == "nineteen" ? 1800 : 3600 }
  /// Whether miners state a type and serve tasks of that type only.
  var hasMinerTypes: Bool { profile == "nineteen" }

  private struct File: Decodable {
    var profile: String?
    var tasks: [TaskConfig]?
  }

  /// Reads a configuration file. Throws Foundation's errors when it cannot be read or is not of the
  /// form that the validator expects.
  init(configurationFile path: String) throws {
    let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    profile = file.profile ?? "vision"
    tasks = file.tasks ?? SimulatedSubnet.defaultTasks
  }

  /// One task of every shape.
  init(profile: String = "vision") {
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
