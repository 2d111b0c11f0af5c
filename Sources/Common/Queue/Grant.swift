/// A job that was leased to this worker.
public struct Grant: Sendable, Equatable {
  /// The job's id.
  public var id: String
  /// Proof of the lease; new for each attempt.
  public var token: String
  /// Organic or synthetic.
  public var kind: JobKind
  /// What a synthetic job's id says; nil when it cannot be read, and for an organic one.
  public var planned: SyntheticJob? = nil
  /// The task's name; empty when the id of a synthetic job cannot be read.
  public var task: String
  /// The number of this attempt, from 1.
  public var attempt: Int
  /// When the user's answer must be complete, Unix ms by Redis's clock; nil for no limit.
  public var deadlineMilliseconds: Int?
  /// Whether the user asked for a stream.
  public var streams: Bool
  /// The request of an organic job; empty for a synthetic one.
  public var payload: [UInt8]
}

extension Grant {
  /// What the claim script tells of an organic, and of a synthetic, whose id tells the rest.
  private static let (organicItems, syntheticItems) = (7, 3)

  /// Reads the jobs of a claim, the organics first; nil when they are not of this form.
  static func read(_ items: ArraySlice<RedisReply>, organics: Int) -> [Grant]? {
    guard organics >= 0, case let synthetics = items.count - organics * organicItems, synthetics >= 0,
      synthetics % syntheticItems == 0
    else { return nil }
    var grants: [Grant] = []
    grants.reserveCapacity(organics + synthetics / syntheticItems)
    var at = items.startIndex
    while at < items.endIndex {
      guard let id = items[at].text, let token = items[at + 1].text, let attempt = items[at + 2].int else {
        return nil
      }
      if grants.count < organics {
        guard let task = items[at + 3].text else { return nil }
        grants.append(
          Grant(
            id: id, token: token, kind: .organic, task: task, attempt: attempt,
            deadlineMilliseconds: items[at + 4].int, streams: items[at + 5].text == "1",
            payload: items[at + 6].data ?? []))
        at += organicItems
      } else {
        let planned = SyntheticJob(id: id)
        grants.append(
          Grant(
            id: id, token: token, kind: .synthetic, planned: planned, task: planned?.task ?? "",
            attempt: attempt, deadlineMilliseconds: nil, streams: false, payload: []))
        at += syntheticItems
      }
    }
    return grants
  }
}

/// What a claim brought.
public struct ClaimResult: Sendable {
  /// Redis's time, Unix ms.
  public var nowMilliseconds: Int
  /// When the next synthetic is due, Unix ms; nil when none waits.
  public var nextDueMilliseconds: Int?
  /// Whether organics still wait that a larger claim would have brought.
  public var organicsWait: Bool
  /// The jobs that were leased.
  public var grants: [Grant]
}
