import Common
import Foundation

/// A period's weights as they are sent: the content of the file and the command's input.
public struct WeightsDocument: Equatable, Sendable {
  /// The layout of the document.
  public static let currentVersion = 1

  /// The period that the weights were computed from.
  public let period: PeriodID
  /// The document as JSON, ended by a newline. The same result gives the same bytes.
  public let json: [UInt8]

  /// The weights of a result; nil when nothing is to be set.
  public init?(_ result: PeriodResult) {
    guard case .weights(let weights) = result.outcome else { return nil }
    period = result.period
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("version", Self.currentVersion)
    writer.member("period", result.period.startSeconds)
    writer.member("closed_at_ms", result.lastLedgerID.milliseconds)
    writer.member("profile", result.profile)
    writer.member("config_digest", result.configDigest)
    writer.member("first_ledger_id", result.firstLedgerID.description)
    writer.member("last_ledger_id", result.lastLedgerID.description)
    if let segment = result.segment { Self.add(segment, to: &writer) }
    writer.key("weights")
    writer.beginArray()
    for weight in weights {
      writer.beginObject()
      writer.member("hotkey", weight.hotkey)
      Self.add(weight, to: &writer)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    json = writer.bytes + [UInt8(ascii: "\n")]
  }

  /// One miner's weight as it stands in Redis: `{"uid":…,"weight":…,"u16":…}`.
  public static func text(of weight: MinerWeight) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    add(weight, to: &writer)
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// What the weights can be recomputed from.
  private static func add(_ segment: SegmentReference, to writer: inout JSONWriter) {
    writer.key("segment")
    writer.beginObject()
    writer.member("from", segment.from.description)
    writer.member("first_id", segment.firstID.description)
    writer.member("last_id", segment.lastID.description)
    writer.member("entries", segment.entries)
    writer.member("digest", segment.digest)
    writer.member("state_digest", segment.stateDigest)
    writer.endObject()
  }

  private static func add(_ weight: MinerWeight, to writer: inout JSONWriter) {
    writer.member("uid", weight.uid)
    writer.member("weight", weight.weight)
    writer.member("u16", Int(weight.value))
  }
}
