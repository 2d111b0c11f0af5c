import Foundation
import Testing

@testable import Common

@Suite("Subnet configuration")
struct SubnetConfigTests {
  /// The repository's root, from this file's place in it.
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private static func shipped(_ name: String) throws -> Data {
    try Data(contentsOf: root.appending(path: name))
  }

  /// The shipped vision.json with one member replaced, or removed for nil; `path` ends in the member.
  private static func edited(_ path: [String], to value: JSON?) throws -> Data {
    func edit(_ json: JSON, _ path: ArraySlice<String>) -> JSON {
      guard let key = path.first else { return value ?? .null }
      if case .array(var elements) = json, let index = Int(key) {
        elements[index] = edit(elements[index], path.dropFirst())
        return .array(elements)
      }
      guard case .object(var members) = json else { return json }
      if path.count == 1, value == nil {
        members[key] = nil
      } else {
        members[key] = edit(members[key] ?? .null, path.dropFirst())
      }
      return .object(members)
    }
    let json = edit(try JSON(parsing: shipped("vision.json")), path[...])
    return Data(json.canonicalText().utf8)
  }

  @Test("both shipped files are valid")
  func shippedFiles() throws {
    let vision = try SubnetConfig(parsing: Self.shipped("vision.json"))
    #expect(vision.profile == .vision)
    #expect(vision.periodSeconds == 3600)
    #expect(vision.tasks.count == 11)
    let nineteen = try SubnetConfig(parsing: Self.shipped("examples/nineteen.json"))
    #expect(nineteen.profile == .nineteen)
    #expect(nineteen.periodSeconds == 1800)
    #expect(nineteen.tasks.count == 14)
    #expect(vision.digest != nineteen.digest)
  }

  @Test(
    "a mistake is named with its task and field",
    arguments: [
      (["version"], JSON.integer(2), "version: must be 1"),
      (["profile"], .string("v7"), "profile: must be vision or nineteen"),
      (["period"], .integer(1), "period: is not known"),
      (["period_seconds"], .integer(1), "period_seconds: must be a whole number from 10 to 86400"),
      (["tasks"], .array([]), "tasks: must be an array of 1 to 64 tasks"),
      (["tasks", "0", "name"], .string("a:b"), "task \"a:b\": name: must be 1 to 64"),
      (["tasks", "0", "name"], .string("avatar"), "task \"avatar\": name: must be unique"),
      (["tasks", "0", "weight"], .number(0.2), "tasks: weights must sum to 1"),
      (["tasks", "0", "weight"], .number(-0.1), "task \"chat-mixtral\": weight: must be a number from 0"),
      (["tasks", "0", "max_capacity"], .integer(0), "max_capacity: must be a positive number"),
      (["tasks", "0", "kind"], .string("image"), "kind: must be text for the shape chat"),
      (["tasks", "0", "shape"], .string("poem"), "shape: must be one of chat"),
      (["tasks", "0", "speed"], nil, "task \"chat-mixtral\": speed: must be an object"),
      (["tasks", "0", "speed", "mean"], .integer(0), "speed.mean: must be a positive number"),
      (["tasks", "0", "timeouts", "total_ms"], .integer(0), "timeouts.total_ms: must be a whole number"),
      (["tasks", "0", "timeouts", "connect_ms"], .integer(9000), "timeouts.connect_ms: must not be above"),
      (["tasks", "0", "timeouts", "idle_ms"], .integer(1), "timeouts.idle_ms: is not known"),
      (["tasks", "0", "path"], .string("chat"), "path: must start with /"),
      (["tasks", "0", "stream"], .string("yes"), "stream: must be true or false"),
      (["tasks", "0", "max_tokens"], nil, "max_tokens: must be two whole numbers"),
      (["tasks", "2", "steps"], .array([.integer(9), .integer(2)]), "steps: must be two whole numbers"),
      (["tasks", "2", "checking"], .object([:]), "checking.server_needed: must be a text"),
      (["tasks", "2", "streams"], .bool(true), "task \"proteus-text-to-image\": streams: is not known"),
    ] as [([String], JSON?, String)])
  func mistakes(path: [String], value: JSON?, message: String) throws {
    let data = try Self.edited(path, to: value)
    let error = #expect(throws: ConfigError.self) { try SubnetConfig(parsing: data) }
    let text = error?.description ?? ""
    #expect(text.contains(message), "\(text)")
    #expect(!text.contains("\n"))
  }

  @Test("text that is not a JSON object is refused", arguments: ["", "[]", "5", "{\"version\":1"])
  func notAnObject(text: String) {
    let error = #expect(throws: ConfigError.self) { try SubnetConfig(parsing: Data(text.utf8)) }
    #expect(error?.field == "file")
  }

  @Test("the period defaults to the profile's")
  func defaultPeriod() throws {
    let config = try SubnetConfig(parsing: Self.edited(["period_seconds"], to: nil))
    #expect(config.periodSeconds == 3600)
    #expect(config.validatorHotkey == nil)
  }

  @Test("the digest follows the settings and not the file's layout")
  func digest() throws {
    let config = try SubnetConfig(parsing: Self.shipped("vision.json"))
    #expect(config.digest.count == 16)
    // Any edit goes through canonical text, with other spacing and another order of keys.
    let same = try SubnetConfig(parsing: Self.edited(["version"], to: .integer(1)))
    #expect(same.digest == config.digest)
    let other = try SubnetConfig(
      parsing: Self.edited(["tasks", "0", "timeouts", "total_ms"], to: .integer(59_999)))
    #expect(other.digest != config.digest)
  }
}
