import Common
import Foundation

/// `vision-fuzz`: every parser of bytes that others write, fed with mutations of a corpus.
enum Fuzz {
  static let table = SettingsTable(
    program: "vision-fuzz", about: "Feed every parser of other people's bytes with mutations of a corpus.",
    settings: [
      Setting(
        "inputs", .integer(1...1_000_000_000), default: "1000000", help: "Inputs for each parser."),
      Setting("seed", .integer(0...Int.max), default: "1", help: "Equal seeds give equal inputs."),
    ],
    positionals: [
      .init(
        "name",
        help: "Which parser: " + FuzzTarget.all.map(\.name).joined(separator: ", ") + "; all by default.",
        isOptional: true, isRepeated: true)
    ])

  /// Prints a row for each parser; 1 when something was found.
  @IO static func run(_ context: ServiceContext) async throws -> ExitCode {
    let names = context.settings.arguments
    if let unknown = names.first(where: { name in !FuzzTarget.all.contains { $0.name == name } }) {
      print("vision-fuzz: there is no parser '\(unknown)'")
      return .usage
    }
    let seed = UInt64(context.settings.int("seed"))
    var isClean = true
    for target in FuzzTarget.all where names.isEmpty || names.contains(target.name) {
      guard !context.stopping.isFired else { return .failed }
      let began = Monotonic.now()
      let outcome = try await FuzzRun(target: target, seed: seed).run(context.settings.int("inputs"))
      let seconds = Double(Monotonic.now().nanoseconds - began.nanoseconds) / 1e9
      let name = target.name.padding(toLength: 16, withPad: " ", startingAt: 0)
      let speed = Int(Double(outcome.inputs) / seconds)
      print(
        "\(name) \(outcome.inputs) inputs, \(speed)/s, peak \(outcome.peakKilobytes >> 10) MB: "
          + (outcome.finding ?? "nothing found"))
      if let input = outcome.input { try keep(input, target.name, seed) }
      isClean = isClean && outcome.finding == nil
    }
    return isClean ? .ok : .failed
  }

  /// Leaves an input behind; it belongs into the corpus once its cause is mended.
  private static func keep(_ input: [UInt8], _ name: String, _ seed: UInt64) throws {
    let path = FileManager.default.temporaryDirectory.path + "/fuzz-\(name)-\(seed)"
    try Data(input).write(to: URL(filePath: path))
    print("  the input is in \(path)")
  }
}
