/// What must hold of an answer to any bytes and does not.
struct FuzzFinding: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A parser of bytes that somebody else writes.
struct FuzzTarget: Sendable {
  /// As on the command line; its corpus is in `Corpus/NAME`.
  let name: String
  /// Words that mean something to the parser.
  let tokens: [String]
  /// Feeds the parser, and throws a ``FuzzFinding`` when what comes out breaks a promise. It must neither crash
  /// nor take long, whatever the bytes.
  let check: @Sendable ([UInt8]) throws -> Void

  /// All of them.
  static let all: [FuzzTarget] =
    streams + json + answers + pipeline + settings

  /// Most time that one input may take, in ms of the thread's own time.
  static let inputMillisecondsMax = 1_000
}

/// Throws a finding unless `holds`.
func expect(_ holds: Bool, _ what: @autoclosure () -> String) throws(FuzzFinding) {
  if !holds { throw FuzzFinding(what()) }
}
