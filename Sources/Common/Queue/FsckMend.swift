/// How a problem that ``Fsck`` found is repaired.
enum FsckMend: Hashable, Sendable {
  /// The key without the shard's prefix is of a wrong type: it is set aside, and what it held made again.
  case aside(String)
  /// The job is brought to the place that its record and its request say.
  case job(String)
  /// The same, without these entries of its reply.
  case reply(String, strays: [String], hasGap: Bool)
  /// The key without the prefix gets this life; 0 for ever.
  case life(String, seconds: Int)
  /// The ledger's entry, which counts nowhere, is set aside.
  case entry(String)
  /// The period's record is made to agree with the ledger and with what waits and runs.
  case period(PeriodID)
  /// A counter gets the difference.
  case count(Keys.Fixed, String, by: Int)

  /// What is wrong in one step can be right after the one before: only the lowest step there is is done, and
  /// then everything is looked at again.
  var step: Int {
    switch self {
    case .aside: 0
    case .job, .reply, .life, .entry: 1
    case .period: 2
    case .count: 3
    }
  }
}
