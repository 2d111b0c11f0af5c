import Common
import Foundation

/// The inputs that are kept in the tree: ordinary ones, and those that once broke something.
enum Corpus {
  /// The inputs for a target, in the order of their names.
  /// - Parameter folder: the folder `Fuzz/Corpus`.
  static func read(_ name: String, in folder: String) throws -> [[UInt8]] {
    let own = folder + "/" + name
    let names = try FileManager.default.contentsOfDirectory(atPath: own).sorted()
    return try names.map { Array(try Data(contentsOf: URL(filePath: own + "/" + $0))) }
  }

  /// `Fuzz/Corpus` in the working folder, or above the folder of the program.
  static func find() throws(FuzzFinding) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
    var folders = [FileManager.default.currentDirectoryPath]
    var folder = (own as NSString).deletingLastPathComponent
    while folder.count > 1 {
      folders.append(folder)
      folder = (folder as NSString).deletingLastPathComponent
    }
    for folder in folders where FileManager.default.fileExists(atPath: folder + "/Fuzz/Corpus") {
      return folder + "/Fuzz/Corpus"
    }
    throw FuzzFinding("Fuzz/Corpus is not here: run scripts/fuzz")
  }
}
