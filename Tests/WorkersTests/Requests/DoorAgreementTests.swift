import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("The door and the worker")
struct DoorAgreementTests {
  /// Values that a client may put where another one belongs.
  private static let strange: [JSON] = [
    .null, .bool(true), .string(""), .string("text"), .integer(-1), .integer(0), .integer(1_000_000_000),
    .number(0.25), .number(1.75), .number(-0.5), .array([]), .array([.integer(1)]), .object([:]),
    .array([.object(["role": .string("user")])]), .object(["role": .string("user")]),
  ]

  @Test("call the same payloads bad, for the same field", arguments: RequestTests.tasks)
  @IO func agree(task: TaskConfig) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let good = try JSON(parsing: Data(RequestTests.payload(task)))
    guard case .object(let members) = good else { preconditionFailure("a payload is an object") }
    try await TestRedis.withQueue { queue in
      var about: [String: JSON] = ["shape": .string(task.shape.rawValue)]
      if let steps = task.steps { about["steps"] = .array(steps.map(JSON.integer)) }
      _ = try await queue.redis.send(
        "HSET", queue.keys.fixed(.tasks), task.name, JSON.object(about).canonicalText())
      var refused = 0
      for number in 0..<40 {
        var changed = members
        for _ in 0..<random.below(3) {
          guard let name = members.keys.sorted().randomElement(using: &random) else { break }
          changed[name] = DoorAgreementTests.strange[random.below(DoorAgreementTests.strange.count)]
        }
        let payload = Array(JSON.object(changed).canonicalText().utf8)
        let door = try await queue.submit(id: "r\(number)", task: task.name, payload: payload)
        var field: String?
        do throws(OrganicRequest.Invalid) {
          _ = try OrganicRequest.parameters(task, payload: payload, random: &random)
        } catch {
          field = error.field
        }
        // What is too long to be read at the door is the worker's alone.
        if payload.count > 65_536 { continue }
        let expected = field.map { JSON.string($0) }
        switch door {
        case .created: #expect(expected == nil, "seed \(seed): \(changed.keys.sorted())")
        case .refused(let refusal):
          refused += 1
          #expect(
            refusal.reason == "bad_payload" && .string(refusal.field) == expected, "seed \(seed): \(refusal)")
        case .duplicate: Issue.record("ids are new")
        }
      }
      #expect(refused > 0, "seed \(seed)")
    }
  }
}
