@testable import Common

/// The names and values of a record as a list.
struct FieldList: FieldSink {
  /// What was added so far.
  private(set) var items: [String] = []

  /// Adds a text.
  mutating func add(_ text: String) { items.append(text) }

  /// Adds a number in decimal.
  mutating func add(_ number: Int) { items.append(String(number)) }

  /// The fields of an attempt, as they are written to the ledger.
  static func attempt(_ entry: AttemptEntry, miner: Int) -> [String] {
    var list = FieldList()
    LedgerCodec.write(entry, miner: miner, to: &list)
    precondition(list.items.count == LedgerCodec.attemptFields.count)
    return zip(LedgerCodec.attemptFields, list.items).flatMap { [$0, $1] }
  }
}
