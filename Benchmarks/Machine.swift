import Common
import Foundation
import Glibc

/// What a run was measured on, with what, and how: it opens every run, so that figures that were kept can be
/// told apart.
@IO
struct Machine {
  /// Groups of facts by name, in order; each fact has a name as well.
  private let groups: [(name: String, facts: [(name: String, value: String)])]

  /// Asks the system and the programs.
  static func look(_ lab: Lab) async throws -> Machine {
    let info = try await lab.redis.send("INFO", "server").text ?? ""
    let redis = info.firstMatch(of: /redis_version:(\S+)/).map { String($0.1) } ?? "?"
    let commit = await firstWords(["git", "describe", "--always", "--dirty", "--exclude", "*"], #/(\S+)/#)
    var versions = [
      ("vision", Version.current), ("redis", redis),
      ("swift", await firstWords(["swift", "--version"], #/Swift version (\S+)/#)),
      ("hiredis", await firstWords(["pkg-config", "--modversion", "hiredis"], #/(\S+)/#)),
      ("libcurl", await firstWords(["pkg-config", "--modversion", "libcurl"], #/(\S+)/#)),
      ("wrk", await firstWords(["wrk", "-v"], #/wrk (?:debian/)?(\S+)/#)),
    ]
    if !lab.pythons.isEmpty { versions += try QueuePeers.versions() }
    return Machine(groups: [
      ("run", [("date", Date().formatted(.iso8601)), ("commit", commit)]),
      ("machine", hardware()), ("versions", versions),
      (
        "settings",
        [
          ("seconds", String(lab.seconds)), ("rounds", String(Lab.rounds)),
          ("redis", "redis.conf without persistence, unix socket"), ("server_core", String(lab.serverCore)),
          ("measured_cores", lab.ownCores),
        ]
      ),
    ])
  }

  private static func hardware() -> [(name: String, value: String)] {
    var system = utsname()
    uname(&system)
    let kernel = withUnsafeBytes(of: &system.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let cpus = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = cpus.firstMatch(of: /model name\s*: ([^\n]+)/).map { String($0.1) } ?? "?"
    let bytes = Double(ProcessInfo.processInfo.physicalMemory)
    return [
      ("cpu", model), ("cores", String(ProcessInfo.processInfo.activeProcessorCount)),
      ("memory_gib", Row.shown(bytes / Double(1 << 30))), ("kernel", kernel),
    ]
  }

  /// What the pattern finds in what a program writes; `?` where there is none.
  private static func firstWords(
    _ arguments: [String], _ pattern: Regex<(Substring, Substring)>
  ) async -> String {
    let limits = ChildLimits(stdoutMaxBytes: 65_536, timeoutMilliseconds: 20_000)
    let result = try? await ChildProcess.run(ChildCommand(arguments), limits: limits)
    let text = String(decoding: result?.stdout ?? [], as: UTF8.self)
    return text.firstMatch(of: pattern).map { String($0.1) } ?? "?"
  }

  /// One JSON object, told from the rows by its `bench`, which is `machine`.
  var json: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("bench", "machine")
    for group in groups {
      writer.key(text: group.name)
      writer.beginObject()
      for fact in group.facts {
        writer.key(text: fact.name)
        writer.string(fact.value)
      }
      writer.endObject()
    }
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// A line for each group.
  var lines: String {
    groups.map { group in
      let facts = group.facts.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
      return group.name.padding(toLength: 10, withPad: " ", startingAt: 0) + facts
    }.joined(separator: "\n")
  }
}
