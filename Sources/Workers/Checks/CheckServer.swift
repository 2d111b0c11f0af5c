import Common
import Foundation

/// A checking server: where it is, and a short name for it that all workers agree on.
struct CheckServer: Hashable {
  /// The beginning of its URLs, without a slash at the end.
  let base: String
  /// 16 hexadecimal digits that follow from `base`.
  let digest: String

  /// Most servers of one worker.
  static let serversMax = 64

  /// A list that cannot be used.
  struct Invalid: ExitCodeProviding, CustomStringConvertible {
    let description: String
    var exitCode: ExitCode { .usage }
  }

  /// The server at a URL; nil when that is not http or https, or holds a user, a query or white space.
  init?(_ text: some StringProtocol) {
    var base = text.trimmingCharacters(in: .whitespaces)
    while base.hasSuffix("/") { base.removeLast() }
    guard let parts = URLComponents(string: base), parts.scheme == "http" || parts.scheme == "https",
      parts.host?.isEmpty == false, parts.user == nil, parts.password == nil, parts.query == nil,
      parts.fragment == nil, base.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { return nil }
    self.base = base
    var hash = SeededRandom(seed: 0, "checking server", base)
    let digits = String(hash.next(), radix: 16)
    digest = String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Reads URLs with commas between them; each server counts once.
  static func list(_ text: String) throws(Invalid) -> [CheckServer] {
    var servers: [CheckServer] = []
    for part in text.split(separator: ",") {
      guard let server = CheckServer(part) else {
        throw Invalid(
          description: "check-servers: '\(part)' is no http or https URL without user and query")
      }
      if !servers.contains(server) { servers.append(server) }
    }
    guard servers.count <= serversMax else {
      throw Invalid(description: "check-servers: at most \(serversMax) servers")
    }
    return servers
  }

  /// The role of the one lane, among all workers, that uses the server.
  var role: String { "checker:" + digest }

  /// What is written down for a check that this server named: another server does not know the name.
  func note(_ remoteID: String) -> String { digest + " " + remoteID }

  /// The name from what ``note(_:)`` wrote; nil when another server gave it.
  func remoteID(in note: String?) -> String? {
    guard let note, note.hasPrefix(digest + " ") else { return nil }
    let id = String(note.dropFirst(digest.utf8.count + 1))
    return CheckJSON.isName(id) ? id : nil
  }
}
