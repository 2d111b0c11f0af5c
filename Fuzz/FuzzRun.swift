import Common
import Foundation

/// Drives children over all inputs of a target, and narrows a crash or a hang down to one input.
@IO
struct FuzzRun {
  /// Inputs of one child.
  private static let batch = 10_000
  /// Longest life of a child, in ms.
  private static let childMilliseconds = 300_000
  /// Most growth of a child's memory over three quarters of its inputs, in KB.
  private static let growthMax = 64 << 10
  /// Most memory of a child, in KB.
  private static let peakMax = 512 << 10

  /// What a target came to.
  struct Outcome {
    var inputs = 0
    var peakKilobytes = 0
    /// What was found, and at which input; nil when nothing was.
    var finding: String?
    var input: [UInt8]?
  }

  let target: FuzzTarget
  let seed: UInt64

  /// Feeds `count` inputs.
  func run(_ count: Int) async throws -> Outcome {
    var outcome = Outcome()
    while outcome.inputs < count, outcome.finding == nil {
      let range = outcome.inputs..<min(count, outcome.inputs + FuzzRun.batch)
      let child = try await child(range)
      outcome.peakKilobytes = max(outcome.peakKilobytes, child.peak)
      if let finding = child.finding { try await narrow(range, finding, &outcome) }
      outcome.inputs = range.upperBound
    }
    return outcome
  }

  /// Halves a range for as long as one half alone fails too.
  private func narrow(_ range: Range<Int>, _ finding: String, _ outcome: inout Outcome) async throws {
    var (range, finding) = (range, finding)
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      var found = false
      for half in [range.lowerBound..<middle, middle..<range.upperBound] where !found {
        guard let still = try await child(half).finding else { continue }
        (range, finding, found) = (half, still, true)
      }
      // Memory that grows with many inputs is found in no single one.
      if !found { break }
    }
    outcome.finding = "inputs \(range.lowerBound)..<\(range.upperBound): \(finding)"
    guard range.count == 1 else { return }
    let corpus = try Corpus.read(target.name, in: Corpus.find())
    outcome.input = FuzzRange(target, seed: seed, corpus: corpus).mutator.input(range.lowerBound)
  }

  private func child(_ range: Range<Int>) async throws -> (finding: String?, peak: Int) {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let command = ChildCommand([
      own, FuzzChild.verb, target.name, String(seed), String(range.lowerBound), String(range.upperBound),
    ])
    let limits = ChildLimits(stdoutMaxBytes: 1 << 20, timeoutMilliseconds: FuzzRun.childMilliseconds)
    let result: ChildResult
    do throws(ChildError) {
      result = try await ChildProcess.run(command, limits: limits)
    } catch {
      return ("\(error)", 0)
    }
    let output = String(decoding: result.stdout, as: UTF8.self).trimmingCharacters(in: .newlines)
    let words = output.split(separator: " ")
    guard result.status.isSuccess, words.count == 4, words[0] == "ok" else {
      let errors = String(decoding: result.stderr, as: UTF8.self).prefix(500)
      return ("\(result.status) \(output) \(errors)", 0)
    }
    let (early, late, peak) = (Int(words[1]) ?? 0, Int(words[2]) ?? 0, Int(words[3]) ?? 0)
    if late - early > FuzzRun.growthMax { return ("memory grew from \(early) to \(late) KB", peak) }
    if peak > FuzzRun.peakMax { return ("took \(peak) KB of memory", peak) }
    return (nil, peak)
  }
}
