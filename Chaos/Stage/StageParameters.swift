/// What a case is told.
struct StageParameters: Sendable {
  /// The case's name.
  var name: String
  /// Where chance begins.
  var seed: Int
  /// How long to go on; nil for the case's own choice.
  var minutes: Double?
  /// How often to repeat; nil for the case's own choice.
  var times: Int?
}
