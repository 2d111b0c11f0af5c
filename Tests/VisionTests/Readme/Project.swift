import Foundation

/// The project's files.
enum Project {
  /// The path of a file in the project's folder.
  static func file(_ name: String) -> String {
    var folder = URL(filePath: #filePath)
    while folder.path().count > 1 {
      folder = folder.deletingLastPathComponent()
      if FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path()) { break }
    }
    return folder.appending(path: name).path()
  }
}
