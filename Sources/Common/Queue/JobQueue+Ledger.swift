/// One entry as it was read from the ledger.
public struct LedgerRecord: Sendable {
  /// The stream id, `<ms>-<number>`.
  public var id: String
  /// The entry; nil when it could not be understood.
  public var entry: LedgerEntry?
}

/// One entry with its fields as they stand in the ledger.
public struct LedgerFields: Equatable, Sendable {
  /// The stream id, `<ms>-<number>`.
  public var id: String
  /// Names and values, in turn.
  public var fields: [String]

  /// Names an entry.
  public init(id: String, fields: [String]) {
    self.id = id
    self.fields = fields
  }
}

extension JobQueue {
  /// Reads up to `limit` entries with their fields as they stand there.
  /// - Parameters:
  ///   - start: as XRANGE takes it: `-`, an id, or an id after `(`.
  ///   - end: the last id that is wanted, or `+`.
  public func readLedgerFields(
    from start: String, to end: String, limit: Int
  ) async throws(RedisError) -> [LedgerFields] {
    let reply = try await redis.send(
      RedisCommand("XRANGE", keys.fixed(.ledger), start, end, "COUNT", String(limit)))
    guard let items = reply.elements else { throw RedisError(.unexpectedReply, "XRANGE answered no list") }
    var records: [LedgerFields] = []
    records.reserveCapacity(items.count)
    for item in items {
      guard let id = item[0]?.text, let fields = item[1]?.elements else {
        throw RedisError(.unexpectedReply, "XRANGE answered an entry without an id")
      }
      records.append(LedgerFields(id: id, fields: fields.map { $0.text ?? "" }))
    }
    return records
  }

  /// Reads up to `limit` entries after the id `cursor` ("" for the beginning).
  public func readLedger(after cursor: String, limit: Int) async throws(RedisError) -> [LedgerRecord] {
    let start = cursor.isEmpty ? "-" : "(" + cursor
    let reply = try await redis.send(
      RedisCommand("XRANGE", keys.fixed(.ledger), start, "+", "COUNT", String(limit)))
    guard let items = reply.elements else { throw RedisError(.unexpectedReply, "XRANGE answered no list") }
    var records: [LedgerRecord] = []
    records.reserveCapacity(items.count)
    for item in items {
      guard let pair = item.elements, pair.count == 2, let id = pair[0].text else {
        throw RedisError(.unexpectedReply, "XRANGE answered an entry without an id")
      }
      records.append(LedgerRecord(id: id, entry: pair[1].fields.flatMap(LedgerCodec.entry)))
    }
    return records
  }

  /// What became of saving the aggregator's state.
  public enum CheckpointResult: String, Sendable {
    /// Saved.
    case ok
    /// The role is held by somebody else.
    case stale
    /// Somebody else saved meanwhile: the state must be loaded anew.
    case moved
  }

  /// A period's result, to be published with a checkpoint.
  public struct Publication: Sendable {
    /// Field and value pairs of the weights; nil leaves the published ones as they are.
    public var weights: [String]?
    /// Field and value pairs about them.
    public var about: [String]
    /// The whole result, as JSON.
    public var result: String
    /// The most results kept.
    public var keep: Int
    /// What miners have proven, as ``ProvenVolumes`` writes it; empty leaves what is there.
    public var proven: [UInt8]

    /// Collects what is published.
    public init(weights: [String]?, about: [String], result: String, keep: Int, proven: [UInt8] = []) {
      self.weights = weights
      self.about = about
      self.result = result
      self.keep = keep
      self.proven = proven
    }
  }

  /// Saves the aggregator's state with how far it read, and publishes weights in the same step.
  public func checkpoint(
    leader: String, from: String, to: String, state: [UInt8], publication: Publication?
  ) async throws(RedisError) -> CheckpointResult {
    let reply = try await run(.checkpoint) { command in
      command.add(leader)
      command.add(from)
      command.add(to)
      command.add(state)
      command.add(publication.map { $0.weights == nil ? 2 : 1 } ?? 0)
      command.add(publication?.keep ?? 1)
      command.add(publication?.result ?? "")
      command.add(list: publication?.weights ?? [])
      command.add(list: publication?.about ?? [])
      command.add(publication?.proven ?? [])
    }
    guard let result = reply.text.flatMap(CheckpointResult.init(rawValue:)) else {
      throw unexpected(.checkpoint, reply)
    }
    return result
  }

  /// The aggregator's saved state and how far it read; nil before the first save.
  public func savedFold() async throws(RedisError) -> (cursor: String, state: [UInt8])? {
    let reply = try await redis.send("HMGET", keys.fixed(.fold), "cursor", "state")
    guard let items = reply.elements, items.count == 2, let cursor = items[0].text,
      let state = items[1].data
    else { return nil }
    return (cursor, state)
  }

  /// What the last closed period left of proven volumes, as bytes of ``ProvenVolumes``; nil before it.
  public func provenVolumes() async throws(RedisError) -> [UInt8]? {
    try await redis.send("GET", keys.fixed(.proven)).data
  }

  /// Drops ledger entries before the id `first`. Returns how many.
  public func trimLedger(before first: String) async throws(RedisError) -> Int {
    try await redis.send("XTRIM", keys.fixed(.ledger), "MINID", first).int ?? 0
  }
}
