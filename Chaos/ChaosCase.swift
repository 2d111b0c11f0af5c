import Common

/// One fault and how it is brought about.
struct ChaosCase: Sendable {
  /// What it is called on the command line.
  let name: String
  /// Its number in the catalogue of docs/CHAOS.md.
  let number: Int
  /// One line.
  let about: String
  /// The longest time that it may take, in seconds, where it is repeated as often as by default.
  let seconds: Int
  /// Whether `all` includes it.
  var isInAll = true
  /// Brings the fault about, and leaves figures on the stage.
  let run: @IO @Sendable (Stage) async throws -> Void

  /// Its limit with what was asked for on the command line.
  func secondsMax(_ parameters: StageParameters) -> Int {
    seconds + Int((parameters.minutes ?? 0) * 60) + (parameters.times ?? 0) * 10
  }

  /// A line of `--list`.
  var listing: String {
    let padding = String(repeating: " ", count: max(1, 20 - name.count))
    return "\(number < 10 ? " " : "")\(number)  \(name)\(padding)\(about)"
  }
}
