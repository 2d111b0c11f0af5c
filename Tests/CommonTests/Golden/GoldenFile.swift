import Foundation

@testable import Common

/// One file of recorded behaviour of the original validators: inputs, and what the original gave.
struct GoldenFile {
  let name: String
  let cases: [JSON]

  /// The members of the inputs, where they are objects.
  var inputMembers: Set<String>? {
    guard case .object(let members)? = cases.first?["in"] else { return nil }
    return Set(members.keys)
  }

  /// The test's own files.
  static var shippedFolder: URL { Bundle.module.resourceURL!.appending(path: "vectors") }

  /// The folder that `VISION_GOLDEN_DIR` names.
  static var namedFolder: URL? {
    ProcessInfo.processInfo.environment["VISION_GOLDEN_DIR"].map { URL(filePath: $0) }
  }

  static func all(in folder: URL) throws -> [GoldenFile] {
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    return try files.filter { $0.pathExtension == "json" }.map { url in
      let json = try GoldenParser.parse(Data(contentsOf: url))
      guard case .array(let cases)? = json["cases"], json["count"]?.int == cases.count else {
        throw GoldenError.malformed(url.lastPathComponent)
      }
      return GoldenFile(name: url.deletingPathExtension().lastPathComponent, cases: cases)
    }.sorted { $0.name < $1.name }
  }

  /// The tasks of a shipped configuration, by name.
  static func tasks(of file: String) -> [String: TaskConfig] {
    let data = (try? Data(contentsOf: SubnetConfigTests.root.appending(path: file))) ?? Data()
    let tasks = (try? SubnetConfig(parsing: data))?.tasks ?? []
    return Dictionary(uniqueKeysWithValues: tasks.map { ($0.name, $0) })
  }
}

enum GoldenError: Error {
  case malformed(String)
}

/// How one file is compared with this program.
struct GoldenRule: Sendable {
  /// Relative difference that still counts as equal.
  var tolerance = 1e-12
  /// This program's result for an input.
  var ours: @Sendable (_ input: JSON) throws -> JSON
  /// The part of the recorded output that is compared.
  var theirs: @Sendable (_ output: JSON) -> JSON = { $0 }
  /// This program's result with the original's defect put in, which must then be the original's; nil for
  /// inputs where the original's result is not worth having.
  var reproduced: @Sendable (_ input: JSON) throws -> JSON? = { _ in nil }
  /// Why this program may differ on this input; nil when it may not.
  var defect: @Sendable (_ input: JSON, _ output: JSON) throws -> String? = { _, _ in nil }
}

extension JSON {
  var elements: [JSON] {
    if case .array(let elements) = self { return elements }
    return []
  }

  var members: [String: JSON] {
    if case .object(let members) = self { return members }
    return [:]
  }

  /// The values of an object in the order of its sorted keys.
  var sortedMembers: [(key: String, value: JSON)] { members.sorted { $0.key < $1.key } }

  /// Only the named members of an object.
  func only(_ names: String...) -> JSON { .object(members.filter { names.contains($0.key) }) }

  /// Whether the original raised an error.
  var isError: Bool { self["error"]?.text != nil }

  /// Whether a number that is not finite stands anywhere in the value.
  var holdsNonFinite: Bool {
    switch self {
    case .array(let elements): return elements.contains(where: \.holdsNonFinite)
    case .object(let members): return members.values.contains(where: \.holdsNonFinite)
    default: return real.map { !$0.isFinite } ?? false
    }
  }
}
