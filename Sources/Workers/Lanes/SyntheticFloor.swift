import Common

/// Keeps a share of a worker's jobs for synthetics, over an hour, so that miners go on being tested while
/// users take all there is. Pure: each event brings its time.
///
/// It only holds while synthetics are due: a slot is never kept free for nothing.
package struct SyntheticFloor: Equatable {
  /// The least share of the jobs started within an hour that are synthetics, as long as any are due.
  let share: Double

  private static let spanMilliseconds = 60_000
  private static let spansMax = 60

  private struct Span: Equatable {
    let number: Int
    var organics = 0
    var synthetics = 0
  }

  private var spans: [Span] = []

  package init(share: Double) {
    precondition((0...1).contains(share))
    self.share = share
  }

  private static func number(_ now: Monotonic) -> Int { now.nanoseconds / 1_000_000 / spanMilliseconds }

  /// Jobs were started.
  mutating func started(organics: Int, synthetics: Int, at now: Monotonic) {
    guard organics + synthetics > 0 else { return }
    let number = SyntheticFloor.number(now)
    if spans.last?.number != number { spans.append(Span(number: number)) }
    spans[spans.count - 1].organics += organics
    spans[spans.count - 1].synthetics += synthetics
    spans.removeAll { $0.number <= number - SyntheticFloor.spansMax }
  }

  /// Free slots that a claim should leave to synthetics.
  /// - Parameter areDue: whether synthetics wait.
  func kept(_ slots: Slots, areDue: Bool, at now: Monotonic) -> Int {
    guard areDue, share > 0 else { return 0 }
    let first = SyntheticFloor.number(now) - SyntheticFloor.spansMax
    let recent = spans.filter { $0.number > first }
    let synthetics = recent.reduce(0) { $0 + $1.synthetics }
    let all = recent.reduce(synthetics) { $0 + $1.organics }
    let missing = (share * Double(all)).rounded(.up) - Double(synthetics)
    // Users keep the rest of the slots, also when much is missing.
    let slotsMax = max(1, Int(share * Double(slots.total))) - slots.synthetics
    return max(0, min(Int(missing), slotsMax, slots.syntheticRoom))
  }
}
