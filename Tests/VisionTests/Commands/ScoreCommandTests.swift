import Common
import Foundation
import TestSupport
import Testing

/// `vision score` through the built program, on what the original validators computed.
@Suite("vision score", .timeLimit(.minutes(2)))
struct ScoreCommandTests {
  static let program = BuiltProgram("vision")

  static func json(_ path: String) throws -> JSON {
    try JSON(parsing: Data(contentsOf: URL(filePath: Project.file(path))))
  }

  static func vectors(_ name: String) -> String {
    Project.file("Tests/CommonTests/Golden/vectors/\(name).json")
  }

  /// The scores of a result, as a table: both layouts.
  static func scores(_ out: JSON) -> JSON {
    if let scores = out["scores"] { return scores }
    guard case .array(let ids)? = out["node_ids"], case .array(let weights)? = out["node_weights"] else {
      return .null
    }
    let pairs = zip(ids, weights).filter { $0.1.double != 0 }.map { (String($0.0.int ?? -1), $0.1) }
    return .object(Dictionary(pairs) { first, _ in first })
  }

  @Test(
    "prints the recorded result of each case, in the recorded order, and the safe one where that is defective",
    arguments: [("vision", "v4_weights_pipeline"), ("nineteen", "v6_weights_pipeline")])
  @IO func recorded(profile: String, name: String) async throws {
    let run = try await Self.program.run(["score", "--profile", profile, Self.vectors(name)])
    #expect(run.code == 0, "\(run.errors)")
    let printed = try JSON(parsing: Data(run.output.utf8))
    let file = try Self.json("Tests/CommonTests/Golden/vectors/\(name).json")
    let safe = try Self.json("Tests/CommonTests/Golden/safe.json")[name] ?? .object([:])
    guard case .array(let cases)? = file["cases"], case .array(let results)? = printed["cases"] else {
      Issue.record("no cases")
      return
    }
    #expect(results.count == cases.count && printed["count"]?.int == cases.count)
    var equal = 0
    for (index, (one, result)) in zip(cases, results).enumerated() {
      let title = one["name"]?.text ?? ""
      let out = try #require(result["out"])
      #expect(result["name"]?.text == title)
      if let ours = safe[String(index)]?["ours"] {
        let expected = ours["scores"] ?? ours["weights"] ?? .null
        #expect(Self.scores(out).isClose(to: expected, tolerance: 1e-12), "\(title): not the safe result")
      } else {
        let theirs = try #require(one["out"])
        #expect(out.isClose(to: theirs, tolerance: 1e-12), "\(title): not the recorded result")
        equal += 1
      }
    }
    #expect(equal > 0)
    print("\(name): \(equal) equal, \(cases.count - equal) safe, of \(cases.count)")
  }

  @Test("reads one subnet from standard input, and explains it")
  @IO func standardInput() async throws {
    let file = try Self.json("Tests/CommonTests/Golden/vectors/v4_weights_pipeline.json")
    let one = try #require(file["cases"]?[3])
    let input = Array(try #require(one["in"]).canonicalText().utf8)
    let result = try await ChildProcess.run(
      ChildCommand([Self.program.path, "score", "--explain"]), input: input,
      limits: ChildLimits(stdoutMaxBytes: 1 << 20, timeoutMilliseconds: 30_000))
    #expect(result.status.isSuccess)
    let printed = try JSON(parsing: Data(result.stdout))
    let recorded = try #require(one["out"]?["scores"])
    #expect(printed["scores"]?.isClose(to: recorded, tolerance: 1e-12) == true)
    let factors = try #require(printed["explain"]?["factors"]?[0])
    #expect(factors["hotkey"]?.text == "a" && factors["task"]?.text == "avatar")
    // Nine full periods against one: 1 and 1 - 7/8/4; cubes of the shares.
    #expect(factors["newcomer_multiplier"]?.double == 1)
    #expect(factors["counts"]?["periods_counted"]?.int == 9)
    #expect(factors["effective_volume"]?.double == 100)
    let share = try #require(factors["share"]?.double)
    #expect(abs(share - 1 / 1.78125) < 1e-12)
    let weight = try #require(printed["explain"]?["weights"]?["a"]?.double)
    #expect(abs(weight - 1 / (1 + 0.78125 * 0.78125 * 0.78125)) < 1e-12)
  }

  @Test("names the field and the miner of a bad input, in one line, with 2")
  @IO func badInput() async throws {
    let cases: [(profile: String, text: String, error: String)] = [
      ("vision", "[1", "is no JSON: byte 2: neither comma nor end"),
      ("vision", "[]", "input: must be a JSON object: one subnet, or a file with \"cases\""),
      (
        "vision", #"{"tasks": {}, "contenders": [], "rewards": {}, "period_scores": {}}"#,
        "task_weights: is missing; with \"contenders\" it is of profile nineteen"
      ),
      (
        "nineteen", #"{"task_weights": {}}"#,
        "tasks: is missing; with \"task_weights\" it is of profile vision"
      ),
      (
        "vision",
        #"{"task_weights": {"x": 1}, "capacities": {"x": {"3": "much"}}, "hotkeys": {"3": "hk"},"#
          + #" "rewards": {}, "period_scores": {}}"#,
        "capacities.x, miner \"hk\": must be a number"
      ),
      (
        "vision",
        #"{"task_weights": {"x": 1}, "capacities": {"x": {"3": 1}}, "hotkeys": {"3": "hk"},"#
          + #" "rewards": {"x": {"hk": [[1, 1], [1]]}}, "period_scores": {}}"#,
        "rewards.x[1], miner \"hk\": must be [quality, speed factor or null]"
      ),
      (
        "vision", #"{"cases": [{"name": "one", "in": {"task_weights": {"x": true}}}]}"#,
        "case \"one\": capacities: is missing"
      ),
      (
        "nineteen",
        #"{"tasks": {"x": {"weight": 1}}, "contenders": [{"hotkey": "hk", "node_id": 1, "task": "y"}],"#
          + #" "rewards": {}, "period_scores": {}}"#,
        "contenders[0].task, miner \"hk\": must be one of tasks"
      ),
    ]
    for one in cases {
      let file = FileManager.default.temporaryDirectory.appending(path: "score-\(UUID().uuidString).json")
      try Data(one.text.utf8).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      let run = try await Self.program.run(["score", "--profile", one.profile, file.path()])
      #expect(run.code == 2)
      #expect(run.output == "")
      #expect(run.errors.split(separator: "\n").count == 1)
      #expect(run.errors.contains(one.error), "\(run.errors)")
    }
    let missing = try await Self.program.run(["score", "/nowhere/subnet.json"])
    #expect(missing.code == 2 && missing.errors == "vision score: /nowhere/subnet.json cannot be read\n")
  }

  @Test("shows what other task weights would do, and refuses those that cannot be")
  @IO func whatIf() async throws {
    let text =
      #"{"task_weights": {"x": 0.75, "y": 0.25}, "capacities": {"x": {"1": 5}, "y": {"2": 5}},"#
      + #" "hotkeys": {"1": "a", "2": "b"}, "rewards": {"x": {"a": [[1, 1]]}, "y": {"b": [[1, 1]]}},"#
      + #" "period_scores": {"x": {"a": [[1, 1]]}, "y": {"b": [[1, 1]]}}}"#
    let file = FileManager.default.temporaryDirectory.appending(path: "score-\(UUID().uuidString).json")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let asked = ["score", "--what-if", "task-weight"]
    let run = try await Self.program.run(asked + ["y=0.5", "--json", file.path()])
    let printed = try JSON(parsing: Data(run.output.utf8))
    let expected = """
      {"tasks": [{"task": "x", "before": 0.75, "after": 0.5}, {"task": "y", "before": 0.25, "after": 0.5}],
       "weights": [{"hotkey": "a", "before": 0.75, "after": 0.5},
                   {"hotkey": "b", "before": 0.25, "after": 0.5}]}
      """
    #expect(printed == (try JSON(parsing: Data(expected.utf8))))
    let table = try await Self.program.run(asked + ["y=0.5", file.path()])
    #expect(table.code == 0)
    #expect(
      table.output.contains("b" + String(repeating: " ", count: 50) + "0.250000   0.500000  +0.250000\n"))
    for (words, error) in [
      (["z=0.1"], "there is no task 'z'; the tasks are x, y"),
      (["y=1.5"], "the changed weights sum to 1.5, and all together to 1.0"),
      (["x=0.1", "y=0.1"], "no other task with a weight is left to make up the rest"),
      (["y=much"], "'y=much' is no task weight: write TASK=NUMBER, such as avatar=0.3"),
      ([], "--what-if task-weight needs a change among the arguments, such as avatar=0.3"),
    ] {
      let refused = try await Self.program.run(asked + words + [file.path()])
      #expect(refused.code == 2 && refused.errors.contains(error), "\(refused.errors)")
    }
  }
}
