import Common
import Foundation
import Glibc
import TestSupport
import Testing

/// A real `vision demo`, with a folder of its own for all that it leaves in temporary places.
@IO
final class DemoRun {
  /// The demo.
  let process: ChildProcess
  private let folder: String

  private static let program = BuiltProgram("vision")

  /// Starts a demo of four miners with these flags and environment variables.
  init(_ flags: [String], adding variables: [String: String] = [:]) throws {
    folder = FileManager.default.temporaryDirectory.path + "/vd-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder + "/tmp", withIntermediateDirectories: true)
    try ShortTable.data().write(to: URL(filePath: folder + "/config.json"))
    let fixed = ["--miners", "4", "--config", folder + "/config.json"]
    let command = ChildCommand(
      [DemoRun.program.path, "demo"] + fixed + flags,
      adding: variables.merging(["TMPDIR": folder + "/tmp"]) { $1 },
      folder: Project.file(""))
    process = try ChildProcess(command, stdout: .file(folder + "/out"), stderr: .file(folder + "/err"))
  }

  /// Ends what still runs and removes the folder.
  func close() async {
    await process.terminate(graceMilliseconds: 5_000)
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// What it printed so far.
  var output: String { text("out") }
  /// What it complained of so far.
  var errors: String { text("err") }

  /// What it left in the place for temporary files.
  var leftovers: [String] {
    (try? FileManager.default.subpathsOfDirectory(atPath: folder + "/tmp"))?.sorted() ?? ["no folder"]
  }

  /// A log of the demo's, which it keeps until its end, or longer with `--keep`.
  func log(_ name: String) -> String {
    leftovers.first { $0.hasSuffix("/\(name).log") }.map { text("tmp/" + $0) } ?? ""
  }

  private func text(_ name: String) -> String {
    // Foundation's readers of whole files leak a page when the file is empty, as a fresh log is.
    let handle = FileHandle(forReadingAtPath: folder + "/" + name)
    let data = (try? handle?.readToEnd()) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  /// Waits until `condition` holds, a minute at most. Nothing tells of what programs write.
  func until(_ condition: () -> Bool) async throws {
    let limit = Monotonic.now().advanced(milliseconds: 60_000)
    while !condition() {
      try #require(process.status == nil && Monotonic.now() < limit, "\(output)\(errors)")
      await EventLoop.shared.sleep(milliseconds: 50)
    }
  }

  /// The processes that it started and that run, by process id, each with the name of its program.
  func children() -> [Int32: String] {
    var found: [Int32: String] = [:]
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let pid = Int32(name), let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else {
        continue
      }
      // pid (name) state parent: the name may hold anything, the last parenthesis ends it.
      let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ")
      guard fields?.dropFirst().first.flatMap({ Int32($0) }) == process.pid else { continue }
      let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
      let words = String(decoding: line, as: UTF8.self).split { $0 == "\0" || $0 == " " }
      found[pid] = words.prefix(2).map { ($0 as NSString).lastPathComponent }.joined(separator: " ")
    }
    return found
  }

  /// Whether no process has this id any more.
  static func isGone(_ pid: Int32) -> Bool { kill(pid, 0) != 0 && errno == ESRCH }
}
