import Foundation

/// What the system knows about a process's memory.
enum ProcessMemory {
  /// Bytes that are resident.
  static func resident(of pid: Int32) throws -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).compactMap({ Int($0) }).first
    else { throw ChaosFailure("process \(pid) is gone") }
    return kibibytes * 1024
  }
}
