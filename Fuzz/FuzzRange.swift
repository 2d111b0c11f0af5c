import Common
import Glibc

/// Runs inputs of one target in this process: what a child does, and what the tests do.
struct FuzzRange {
  let target: FuzzTarget
  let mutator: Mutator
  private let inputMillisecondsMax: Int

  /// - Parameter inputMillisecondsMax: an input that takes more processor time hangs.
  init(
    _ target: FuzzTarget, seed: UInt64, corpus: [[UInt8]],
    inputMillisecondsMax: Int = FuzzTarget.inputMillisecondsMax
  ) {
    self.target = target
    self.inputMillisecondsMax = inputMillisecondsMax
    mutator = Mutator(seed: seed, name: target.name, corpus: corpus, tokens: target.tokens)
  }

  /// Feeds the inputs with these numbers.
  /// - Throws: the first finding, with the input's number.
  func run(_ numbers: Range<Int>) throws(FuzzFinding) {
    for number in numbers {
      let input = mutator.input(number)
      let began = FuzzRange.ownMilliseconds()
      do {
        try target.check(input)
      } catch {
        throw FuzzFinding("input \(number): \(error)")
      }
      let taken = FuzzRange.ownMilliseconds() - began
      if taken > inputMillisecondsMax {
        throw FuzzFinding("input \(number): took \(taken) ms for \(input.count) bytes")
      }
    }
  }

  /// Processor time of this thread, in ms: other processes do not count.
  private static func ownMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
  }
}

/// Memory of this process.
enum FuzzMemory {
  /// Resident now, and at most so far, in KB.
  static func kilobytes() -> (now: Int, peak: Int) {
    guard let file = fopen("/proc/self/status", "r") else { return (0, 0) }
    defer { fclose(file) }
    var result = (now: 0, peak: 0)
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      let number = Int(text.filter { $0.isNumber }) ?? 0
      if text.hasPrefix("VmRSS:") { result.now = number }
      if text.hasPrefix("VmHWM:") { result.peak = number }
    }
    return result
  }
}
