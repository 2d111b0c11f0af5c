import Common
import Foundation

/// A child process: feeds a range of inputs to one target, so that a crash or a hang ends the child alone.
enum FuzzChild {
  static let verb = "--child"

  /// Arguments: target, seed, first number, number after the last. Prints `ok`, the resident memory after a
  /// quarter and at the end, and the peak, in KB; or what was found, with exit code 1.
  static func main(_ arguments: [String]) -> Never {
    guard arguments.count == 4, let target = FuzzTarget.all.first(where: { $0.name == arguments[0] }),
      let seed = UInt64(arguments[1]), let first = Int(arguments[2]), let end = Int(arguments[3])
    else { exit(2) }
    do {
      let range = FuzzRange(target, seed: seed, corpus: try Corpus.read(target.name, in: Corpus.find()))
      let quarter = first + (end - first) / 4
      try range.run(first..<quarter)
      let early = FuzzMemory.kilobytes()
      try range.run(quarter..<end)
      let late = FuzzMemory.kilobytes()
      print("ok \(early.now) \(late.now) \(late.peak)")
      exit(0)
    } catch {
      print(error)
      exit(1)
    }
  }
}
