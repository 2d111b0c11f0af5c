import Foundation

/// The files of this package as they lie on the disk, without what builds leave behind.
struct SourceTree {
  /// Every Swift file under Sources and Tests, and the package's description.
  let swift: [SourceFile]
  /// Every other text file: path from the root and lines.
  let others: [(path: String, lines: [String])]

  /// The tree of the package that this test belongs to.
  static let package = SourceTree(
    root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent())

  private init(root: URL) {
    var swift: [SourceFile] = []
    var others: [(path: String, lines: [String])] = []
    for path in SourceTree.paths(in: root) {
      guard let data = try? Data(contentsOf: root.appending(path: path)), data.count < 1 << 20,
        !data.contains(0), let text = String(data: data, encoding: .utf8)
      else { continue }
      if path.hasSuffix(".swift") {
        swift.append(SourceFile(path: path, text: text))
      } else {
        others.append((path, text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))
      }
    }
    self.swift = swift
    self.others = others
  }

  /// Paths of files from the root: no build products, nothing of git's.
  private static func paths(in root: URL) -> [String] {
    let skipped = [".git", "__pycache__"]
    guard let walk = FileManager.default.enumerator(atPath: root.path()) else { return [] }
    var paths: [String] = []
    while let path = walk.nextObject() as? String {
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      if skipped.contains(name) || name.hasPrefix(".build") {
        walk.skipDescendants()
      } else if walk.fileAttributes?[.type] as? FileAttributeType == .typeRegular {
        paths.append(path)
      }
    }
    return paths.sorted()
  }

  /// One file by its path.
  func lines(of path: String) -> [String]? {
    others.first { $0.path == path }?.lines ?? swift.first { $0.path == path }?.lines
  }
}

/// A broken rule at a place.
struct Finding: CustomStringConvertible, Equatable {
  let path: String
  /// From 1.
  let line: Int
  let message: String

  var description: String { "\(path):\(line): \(message)" }
}

extension [Finding] {
  /// All findings, one on each line, for a test's message.
  var report: String { "\n" + map(\.description).joined(separator: "\n") }
}

extension String {
  /// Whether `word` occurs: quick, so that the slower patterns see only lines that may match.
  func has(_ word: StaticString) -> Bool {
    word.withUTF8Buffer { _ in
      strstr(self, UnsafeRawPointer(word.utf8Start).assumingMemoryBound(to: CChar.self)) != nil
    }
  }
}
