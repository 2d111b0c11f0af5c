import Foundation
import Testing

@testable import Common

@Suite("A settings file")
struct SettingsFileTests {
  @Test("is read with its mode")
  func read() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/s.json"
      _ = FileManager.default.createFile(
        atPath: path, contents: Data(#"{"a": 1}"#.utf8), attributes: [.posixPermissions: 0o640])
      let file = try SettingsFile.read(path)
      #expect(file.bytes == Array(#"{"a": 1}"#.utf8))
      #expect(file.mode == 0o640 && file.isExposed)
      #expect(try file.entries().map(\.text) == ["1"])
    }
  }

  @Test("that is not there, no file, or too large is refused by name")
  func refused() throws {
    try withTemporaryFolder { folder in
      let large = folder + "/large"
      _ = FileManager.default.createFile(atPath: large, contents: Data(count: SettingsFile.maxBytes + 1))
      mkfifo(folder + "/pipe", 0o600)
      let reasons = ["none": "No such file", "large": "larger than", "pipe": "not a file", ".": "not a file"]
      for (name, reason) in reasons {
        let error = try #require(throws: SettingsError.self) { try SettingsFile.read(folder + "/" + name) }
        #expect(error.code == .unreadableFile)
        #expect(error.description.contains(reason) && error.description.contains(folder))
      }
    }
  }
}

/// A folder of its own for a test, taken away afterwards.
func withTemporaryFolder<T>(_ body: (String) throws -> T) throws -> T {
  let folder = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}
