/// How many jobs of each kind a worker may run: pure bookkeeping.
///
/// Of all slots some are for organics only, so that a user never waits behind synthetics that hold them
/// all. Synthetics take what is left.
package struct Slots: Equatable {
  /// All slots.
  package let total: Int
  /// Slots that synthetics never take.
  let reserved: Int
  /// Organics that run.
  private(set) var organics = 0
  /// Synthetics that run.
  private(set) var synthetics = 0

  /// The share that is reserved at least.
  static let reservedShareMin = 0.2

  /// Slots with at least a fifth, and at least one, for organics only.
  package init(total: Int, reservedShare: Double) {
    precondition(total >= 1 && (0...1).contains(reservedShare))
    let share = max(reservedShare, Slots.reservedShareMin)
    self.total = total
    reserved = min(total, max(1, Int((Double(total) * share).rounded(.up))))
  }

  /// Organics that may start now.
  package var organicRoom: Int { total - organics - synthetics }
  /// Synthetics that may start now.
  package var syntheticRoom: Int { max(0, min(total - reserved - synthetics, organicRoom)) }
  /// Jobs that run.
  package var running: Int { organics + synthetics }

  /// A job starts.
  mutating func take(isOrganic: Bool) {
    if isOrganic { organics += 1 } else { synthetics += 1 }
  }

  /// A job ended.
  mutating func free(isOrganic: Bool) {
    if isOrganic { organics -= 1 } else { synthetics -= 1 }
    precondition(organics >= 0 && synthetics >= 0)
  }
}
