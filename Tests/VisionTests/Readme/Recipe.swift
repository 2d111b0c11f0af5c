import Common
import Foundation
import TestSupport

/// A block of shell in a document, under the comment `<!-- recipe: name -->`.
struct Recipe {
  let name: String
  let script: String

  /// The recipes of a document, in its order.
  static func all(in text: String) -> [Recipe] {
    let pattern = #/<!-- recipe: ([a-z-]+) -->\s*```[a-z]*\n(.*?)```/#.dotMatchesNewlines()
    return text.matches(of: pattern).map { Recipe(name: String($0.1), script: String($0.2)) }
  }

  /// Runs it as it stands there, but on the test's Redis, as one of its users, and in the test's namespace,
  /// with `job` for JOB.
  @IO func run(_ keys: Keys, job: String, as role: RedisRole) async throws -> BuiltProgram.Outcome {
    let server =
      switch try TestRedis.address().endpoint {
      case .unix(let path): "-s '\(path)'"
      case .tcp(let host, let port): "-h '\(host)' -p \(port)"
      case .sentinel: preconditionFailure("tests have one Redis")
      }
    let user = try TestRedis.address(as: role)
    let login = user.user.map { "--user \($0) --no-auth-warning" } ?? ""
    let place = "redis-cli() { command redis-cli \(server) \(login) \"$@\"; }\n"
    let text = script.replacing("vision:{q}:", with: keys.prefix).replacing("JOB", with: job)
    return try await BuiltProgram.run(
      ChildCommand(
        ["bash", "-euo", "pipefail", "-c", place + text],
        adding: user.password.map { ["REDISCLI_AUTH": $0] } ?? [:]))
  }
}
