import Common
import Foundation
import TestSupport
import Testing

@Suite("The recipes for redis-cli in README.md", .timeLimit(.minutes(2)))
struct RecipeTests {
  /// What each recipe shows of the queue that ``populate(_:)`` makes.
  private static let expected: [String: (String, Comment)] = [
    "organics-waiting": (#"^2\nb\nc\n$"#, "how many, and the first ones"),
    "due-now": (#"^2\n$"#, "two of five queries are due"),
    "delayed": (#"^3\n$"#, "three are not"),
    "running": (#"^1\na\n\d{13}\n$"#, "the job and the end of its lease"),
    "dead": (#"^1\nd\n\d{13}\n$"#, "the job and when it was given up"),
    "workers-alive": (#"^PREFIXworker:w1\n$"#, "the worker's key"),
    "ledger-tail": (#"type\nopened\n[^$]*type\ndead\n"#, "the newest entry first"),
    "weights": (
      #"^hk0\n\{"uid":0,"weight":1\.0,"u16":65535\}\n[^$]*period\n1\n"#, "weights, and whence they are"
    ),
    "job": (#"\nstate\nrunning\n"#, "the job's record"),
    "reply": (#"^\d+-\d+\nn\n1\nbytes\n5\ntokens\n0\ndata\npiece\n"#, "the reply so far"),
  ]

  private static func recipes() throws -> [Recipe] {
    Recipe.all(in: try String(contentsOfFile: Project.file("README.md"), encoding: .utf8))
  }

  @Test("are all here, and none asks for all keys")
  func complete() throws {
    let recipes = try Self.recipes()
    #expect(recipes.map(\.name).sorted() == Self.expected.keys.sorted())
    for recipe in recipes {
      #expect(!recipe.script.contains("KEYS"), "\(recipe.name) stops Redis for everybody")
      #expect(recipe.script.contains("vision:{q}:"), "\(recipe.name)")
    }
  }

  @Test("show what is there")
  @IO func run() async throws {
    let recipes = try Self.recipes()
    try await CommandBench.with { at in
      try await populate(at)
      for recipe in recipes {
        let outcome = try await recipe.run(at.queue.keys, job: "a", as: .operator)
        #expect(outcome.code == 0, "\(recipe.name): \(outcome.errors)")
        // Into a pipe redis-cli writes values only, without numbers and quotes.
        let (pattern, what) = try #require(Self.expected[recipe.name])
        let written = pattern.replacing(
          "PREFIX", with: NSRegularExpression.escapedPattern(for: at.queue.keys.prefix))
        let found = try Regex(written).firstMatch(in: outcome.output)
        #expect(found != nil, "\(recipe.name) shows \(what): \(outcome.output)")
      }
    }
  }

  /// One job in each place.
  @IO private func populate(_ at: CommandBench) async throws {
    let queue = at.queue
    let bench = at.bench
    try await bench.submit("d")
    // Takes 45 seconds of the test's clock, which began a minute before the present.
    try await at.giveUpFirst()
    try await bench.pass(WallClock.nowMilliseconds() - bench.now - 10_000)
    // Due 10 seconds ago, 1 second ago, and in the future.
    let snapshot = try PeriodSnapshot.make(
      startMilliseconds: bench.now, lengthMilliseconds: 600_000, counts: [[5]])
    #expect(try await queue.lead(role: "producer", token: "p", lifeMilliseconds: 60_000))
    _ = try await queue.openPeriod(
      leader: "p", snapshot: snapshot, encoded: Array(JSONEncoder().encode(snapshot)), seed: 1,
      pacePerSecond: 10, burst: 10)
    let offsets = [0, 9_000, 200_000, 300_000, 400_000]
    let jobs = offsets.enumerated().map { number, offset in
      let job = SyntheticJob(period: snapshot.id, task: "chat", miner: 0, number: number)
      return (dueMilliseconds: bench.now + offset, id: job.description)
    }
    _ = try await queue.schedule(
      leader: "p", period: snapshot.id, chunk: 0, isLast: true, volumes: [], jobs: jobs)
    try await bench.submit("a", "b", "c")
    let grant = try #require(try await bench.claim("w1", organics: 1, synthetics: 0).grants.first)
    _ = try await queue.append(grant.id, grant.token, [Array("piece".utf8)])
    _ = try await queue.renew(
      worker: "w1", lifeMilliseconds: 60_000, record: ["role", "query"],
      jobs: [(id: grant.id, token: grant.token, leaseMilliseconds: 60_000)])
    #expect(try await queue.lead(role: "aggregator", token: "g", lifeMilliseconds: 60_000))
    let publication = JobQueue.Publication(
      weights: ["hk0", #"{"uid":0,"weight":1.0,"u16":65535}"#], about: ["period", "1"], result: "{}", keep: 1)
    #expect(
      try await queue.checkpoint(leader: "g", from: "", to: "1-1", state: [], publication: publication) == .ok
    )
  }
}
