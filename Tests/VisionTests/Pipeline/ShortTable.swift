import Common
import Foundation

@testable import Vision

/// A task table for runs of a few seconds.
enum ShortTable {
  /// The shipped table with its chat tasks alone, and with answers that take about a second.
  static func data() throws -> Data {
    let shipped = try JSON(parsing: Data(contentsOf: URL(filePath: Project.file("vision.json"))))
    guard case .object(var members) = shipped, case .array(let tasks)? = members["tasks"] else {
      throw DemoFailure("the shipped table is no object")
    }
    let chats = tasks.filter { $0["shape"]?.text == "chat" }
    members["tasks"] = .array(
      chats.map { task in
        guard case .object(var fields) = task else { return task }
        fields["weight"] = .number(1 / Double(chats.count))
        fields["max_tokens"] = .array([.integer(60), .integer(100)])
        return .object(fields)
      })
    return Data(JSON.object(members).canonicalText().utf8)
  }
}
