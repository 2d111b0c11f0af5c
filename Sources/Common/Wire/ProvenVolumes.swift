import Foundation

/// The proven volumes after a closed period, as they stand in Redis for whoever plans the next one:
/// `{"proven":{"<task>":{"<hotkey>":<thousandths per profile period>}},"version":1}`.
public struct ProvenVolumes: Codable, Equatable, Sendable {
  /// The layout of this record.
  public static let currentVersion = 1

  /// The layout version.
  public private(set) var version = ProvenVolumes.currentVersion
  /// Thousandths of a volume unit per profile period, by task and hotkey.
  public var proven: [String: [String: Int]]

  /// Nothing proven, or the given volumes.
  public init(_ proven: [String: [String: Int]] = [:]) { self.proven = proven }

  /// Reads what `encoded` wrote; nil when it is anything else, another version included.
  public init?(decoding bytes: [UInt8]) {
    guard let read = try? JSONDecoder().decode(ProvenVolumes.self, from: Data(bytes)),
      read.version == Self.currentVersion,
      read.proven.values.allSatisfy({ $0.values.allSatisfy { $0 >= 0 } })
    else { return nil }
    self = read
  }

  /// The record as JSON with sorted keys.
  public func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return [UInt8](try encoder.encode(self))
  }
}
