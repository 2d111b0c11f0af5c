import Foundation
import Glibc

/// What the system knows about processes.
enum ProcessFigures {
  /// The cores that this process may use, such as `0,2-3`.
  static func cores() -> String {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    return line.map { $0.dropFirst(18).trimmingCharacters(in: .whitespaces) } ?? "0"
  }

  /// Processor time of this process, user and system, in microseconds (`getrusage(2)`).
  static func ownMicroseconds() -> Double { microseconds(__rusage_who_t(RUSAGE_SELF.rawValue)) }

  /// The same of all children that ended.
  static func endedChildrenMicroseconds() -> Double { microseconds(__rusage_who_t(RUSAGE_CHILDREN.rawValue)) }

  /// The most memory that this process had resident at once, in bytes (`getrusage(2)`, in KiB there).
  static func ownPeakResidentBytes() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_maxrss) * 1024
  }

  private static func microseconds(_ who: __rusage_who_t) -> Double {
    var usage = rusage()
    getrusage(who, &usage)
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
  }

  private static func microseconds(_ time: timeval) -> Double {
    Double(time.tv_sec) * 1e6 + Double(time.tv_usec)
  }

  /// Processor time of a running process, in microseconds, in steps of a clock tick (`proc(5)`, stat).
  static func microseconds(of pid: Int32) throws(BenchFailure) -> Double {
    let text = try read("/proc/\(pid)/stat")
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = (text.split(separator: ")").last ?? "").split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      throw BenchFailure("the system tells nothing about process \(pid)")
    }
    return (user + system) * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// A process's memory, in bytes: all that is resident, and of it what is its own (`RssAnon`).
  static func memory(of pid: Int32) throws(BenchFailure) -> (resident: Double, own: Double) {
    let text = try read("/proc/\(pid)/status")
    func bytes(_ name: String) -> Double {
      let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
      return line.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }.first.map { $0 * 1024 } ?? 0
    }
    return (bytes("VmRSS"), bytes("RssAnon"))
  }

  private static func read(_ path: String) throws(BenchFailure) -> String {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw BenchFailure("\(path) cannot be read: the process ended")
    }
    return text
  }
}
