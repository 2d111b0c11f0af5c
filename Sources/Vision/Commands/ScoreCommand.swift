import Aggregator
import Common
import Foundation

/// `vision score`: the scores of a subnet that stands in a file, and what other task weights would change.
enum ScoreCommand {
  static let entry = VisionCommand.Entry(
    name: "score", about: "Score a subnet given as JSON, or try other task weights.",
    settings: [
      Setting(
        "profile", .choice(ProfileName.allCases.map(\.rawValue)), default: "vision",
        help: "The scoring profile, and with it the layout of the input (docs/SCORING.md)."),
      Setting(
        "explain", .boolean, default: "false", help: "Add every factor of every miner and task."),
      Setting(
        "what-if", .choice(["task-weight"]),
        help: "Print each miner's weight before and after a change, given as TASK=NUMBER among the arguments."
          + " The other tasks keep their proportions and make up the rest."),
      Setting("json", .boolean, default: "false", help: "With --what-if: JSON instead of a table."),
      RecordedPeriods.period,
    ] + RecordedPeriods.settings + Connection.settings,
    positionals: [
      .init(
        "file",
        help: "One subnet or a whole vector file; - or nothing for standard input. With --what-if also the"
          + " changes, such as chat-llama-3=0.3.", isOptional: true, isRepeated: true)
    ], work: run)

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    let words = try ScoreWords(settings.arguments, isWhatIf: settings.isSet("what-if"))
    guard let profile = ProfileName(rawValue: settings.string("profile")) else {
      throw Connection.Failure(description: "unknown profile", exitCode: .usage)
    }
    if words.file == nil, RecordedPeriods.isAsked(settings) { return try await recorded(settings, words) }
    let subnets = try read(words.file ?? "-", profile)
    guard words.changes.isEmpty else {
      return WhatIfReport.show(
        try subnets.map { try WhatIfReport($0.input, of: $0.name, words.changes) },
        asJSON: settings.bool("json"))
    }
    let results = subnets.map { name, input in
      (name, result(SubnetScores(input), isExplained: settings.bool("explain")))
    }
    print(document(results, profile).canonicalText())
    return .ok
  }

  /// What other task weights would have changed in a period that is over.
  @IO private static func recorded(_ settings: Settings, _ words: ScoreWords) async throws -> ExitCode {
    guard !words.changes.isEmpty else {
      throw Connection.Failure(
        description: "a recorded period is scored already: use --what-if task-weight, or vision explain",
        exitCode: .usage)
    }
    let result = try await RecordedPeriods.result(settings)
    let report = try WhatIfReport(
      factors: result.factors, profile: try result.scoringProfile(), title: "period \(result.period)",
      words.changes)
    return WhatIfReport.show([report], asJSON: settings.bool("json"))
  }

  private static func read(
    _ path: String, _ profile: ProfileName
  ) throws(Connection.Failure) -> [(name: String?, input: SubnetInput)] {
    let shown = path == "-" ? "standard input" : path
    let text = try InputText.read(path)
    let parsed: (value: JSON, order: JSON.KeyOrder)
    do {
      parsed = try JSON.ordered(parsing: text)
    } catch {
      var problem = "no JSON"
      if case DecodingError.dataCorrupted(let context) = error { problem = context.debugDescription }
      throw Connection.Failure(description: "\(shown) is no JSON: \(problem)", exitCode: .usage)
    }
    do throws(SubnetInputError) {
      return try SubnetInput.all(parsed.value, profile: profile, order: parsed.order)
    } catch {
      throw Connection.Failure(description: "\(shown): \(error)", exitCode: .usage)
    }
  }

  private static func result(_ scores: SubnetScores, isExplained: Bool) -> JSON {
    guard isExplained, case .object(var members) = scores.output else { return scores.output }
    members["explain"] = scores.explanation
    return .object(members)
  }

  /// One subnet's result as it is; those of a vector file in the layout of one.
  private static func document(_ results: [(name: String?, out: JSON)], _ profile: ProfileName) -> JSON {
    if results.count == 1, results[0].name == nil { return results[0].out }
    return .object([
      "profile": .string(profile.rawValue), "count": .integer(results.count),
      "cases": .array(
        results.map { .object(["name": .string($0.name ?? ""), "out": $0.out]) }),
    ])
  }
}

/// The arguments of `vision score`: a file, and with `--what-if` the changes.
struct ScoreWords: Equatable {
  var file: String?
  var changes: [TaskWeight] = []

  /// A file whose name holds an equals sign can be given with its folder.
  init(_ arguments: [String], isWhatIf: Bool) throws(Connection.Failure) {
    for word in arguments {
      if isWhatIf, word.contains("="), !word.contains("/") {
        do throws(WhatIfError) { changes.append(try WhatIf.parse(word)) } catch {
          throw Connection.Failure(description: error.description, exitCode: .usage)
        }
      } else if file == nil {
        file = word
      } else {
        throw Connection.Failure(
          description: "unexpected argument '\(word.prefix(80))'"
            + (word.contains("=") ? "; changes need --what-if task-weight" : ""), exitCode: .usage)
      }
    }
    if isWhatIf, changes.isEmpty {
      throw Connection.Failure(
        description: "--what-if task-weight needs a change among the arguments, such as avatar=0.3",
        exitCode: .usage)
    }
  }
}

/// Reads what a command is given as a file or on standard input.
enum InputText {
  /// The most bytes of an input.
  static let bytesMax = 256 << 20

  /// - Parameter path: `-` for standard input.
  /// - Throws: `Failure` when it cannot be read, or is too large.
  static func read(_ path: String) throws(Connection.Failure) -> Data {
    let file = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path)
    guard let file else { throw unreadable(path) }
    var text = Data()
    do {
      while let part = try file.read(upToCount: 1 << 20), !part.isEmpty {
        text.append(part)
        if text.count > bytesMax { break }
      }
    } catch { throw unreadable(path) }
    guard text.count <= bytesMax else {
      throw Connection.Failure(
        description: "\(path): more than \(bytesMax >> 20) MB", exitCode: .usage)
    }
    return text
  }

  private static func unreadable(_ path: String) -> Connection.Failure {
    Connection.Failure(description: "\(path) cannot be read", exitCode: .usage)
  }
}
