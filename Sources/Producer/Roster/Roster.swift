import Common
import Foundation

/// What is wrong with a roster: one line that names the miner and the field.
public struct RosterError: Error, Equatable, CustomStringConvertible {
  /// The kinds of problem.
  public enum Code: Sendable {
    /// The file cannot be read, or the command failed.
    case unreadable
    /// The text is not a JSON object.
    case malformed
    /// A field is missing or has a wrong value.
    case invalidField
    /// Two miners have the same hotkey or uid.
    case duplicate
    /// More miners than can be planned for.
    case tooMany
  }

  /// The kind of problem.
  public let code: Code
  /// The miner, such as `miners[3]`; nil for the roster itself.
  public let miner: String?
  /// The field; nil when it is about no single one.
  public let field: String?
  /// What is wrong, or what is allowed.
  public let problem: String

  init(_ code: Code, miner: String? = nil, field: String? = nil, _ problem: String) {
    self.code = code
    self.miner = miner
    self.field = field
    self.problem = problem
  }

  /// Such as `miners[3]: uid: must be a whole number from 0 to 65535`.
  public var description: String {
    [miner, field, problem].compactMap { $0 }.joined(separator: ": ")
  }
}

/// Who is on the subnet.
///
/// `{"version": 1, "validator_hotkey": "…", "miners": [{"hotkey": "…", "uid": 3, "address": "http://…",
/// "stake": 12.5}]}`. Unknown fields are ignored, so that a tool may write more than is needed.
///
/// A roster with a wrong hotkey, uid or stake is wrong as a whole: its author made a mistake. An address
/// is what a miner itself announced, so an unusable one costs that miner its place and nobody else.
public struct Roster: Equatable, Sendable {
  /// The layout that is read.
  public static let version = 1
  /// Most miners.
  public static let minersMax = 4096
  /// Most bytes of the roster's text.
  public static let bytesMax = 4 << 20
  /// A uid on the chain is an unsigned 16-bit number.
  static let uidMax = 65_535

  /// The validator's own hotkey; it is never among the miners.
  public let validatorHotkey: String
  /// By uid, so that the order in which somebody wrote them down decides nothing.
  public let miners: [MinerRecord]
  /// Why miners were left out: their addresses cannot be used.
  public let dropped: [RosterError]
  /// The hotkeys of those miners; they are on the subnet all the same.
  let droppedHotkeys: Set<String>

  /// Reads and checks a roster. Throws the first problem found. A miner whose address says by itself that it
  /// is outside of `networks` is left out; one with a name is found out when it is contacted.
  public init(parsing bytes: [UInt8], networks: NetworkPolicy = .any) throws(RosterError) {
    guard bytes.count <= Self.bytesMax else {
      throw RosterError(.tooMany, "is larger than \(Self.bytesMax) bytes")
    }
    guard JSONDepth.isWithinLimit(bytes), let json = try? JSON(parsing: Data(bytes)),
      case .object(let members) = json
    else { throw RosterError(.malformed, "must be a JSON object") }
    guard members["version"]?.int == Self.version else {
      throw RosterError(.invalidField, field: "version", "must be \(Self.version)")
    }
    validatorHotkey = try Self.hotkey(members["validator_hotkey"], miner: nil, field: "validator_hotkey")
    guard case .array(let entries)? = members["miners"] else {
      throw RosterError(.invalidField, field: "miners", "must be an array")
    }
    guard entries.count <= Self.minersMax else {
      throw RosterError(
        .tooMany, field: "miners", "has \(entries.count) entries, at most \(Self.minersMax)")
    }
    var miners: [MinerRecord] = []
    var dropped: [RosterError] = []
    var droppedHotkeys: Set<String> = []
    var placeByHotkey: [String: Int] = [:]
    var placeByUID: [Int: Int] = [:]
    for (index, entry) in entries.enumerated() {
      let miner = "miners[\(index)]"
      var record = try Self.record(entry, miner: miner)
      if let other = placeByHotkey.updateValue(index, forKey: record.hotkey) {
        throw RosterError(.duplicate, miner: miner, field: "hotkey", "is also that of miners[\(other)]")
      }
      if let other = placeByUID.updateValue(index, forKey: record.uid) {
        throw RosterError(.duplicate, miner: miner, field: "uid", "is also that of miners[\(other)]")
      }
      if record.hotkey == validatorHotkey { continue }
      do throws(RosterError) {
        record.address = try Self.address(
          record.address, miner: "\(miner) (uid \(record.uid))", networks)
        miners.append(record)
      } catch {
        dropped.append(error)
        droppedHotkeys.insert(record.hotkey)
      }
    }
    self.miners = miners.sorted { $0.uid < $1.uid }
    self.dropped = dropped
    self.droppedHotkeys = droppedHotkeys
  }

  /// The indexes of a period's miners that must not be queried any more: the hotkey left the subnet, or
  /// its address is now somebody else's. A miner that only moved is queried where it was when the period
  /// began: moving is no way out of a test. An empty roster says nothing about anybody.
  func gone(of planned: [MinerRecord]) -> [Int] {
    guard !miners.isEmpty else { return [] }
    let addresses = Dictionary(uniqueKeysWithValues: miners.map { ($0.hotkey, $0.address) })
    let inUse = Set(addresses.values)
    return planned.indices.filter { index in
      let miner = planned[index]
      if droppedHotkeys.contains(miner.hotkey) { return inUse.contains(miner.address) }
      guard let address = addresses[miner.hotkey] else { return true }
      return address != miner.address && inUse.contains(miner.address)
    }
  }

  private static func record(_ entry: JSON, miner: String) throws(RosterError) -> MinerRecord {
    guard case .object(let members) = entry else {
      throw RosterError(.invalidField, miner: miner, "must be an object")
    }
    let hotkey = try hotkey(members["hotkey"], miner: miner, field: "hotkey")
    guard let uid = members["uid"]?.int, (0...uidMax).contains(uid) else {
      throw RosterError(
        .invalidField, miner: miner, field: "uid", "must be a whole number from 0 to \(uidMax)")
    }
    guard let address = members["address"]?.text else {
      throw RosterError(.invalidField, miner: miner, field: "address", "must be a text")
    }
    let stake = members["stake"] ?? .integer(0)
    guard let stake = stake.double, stake.isFinite, stake >= 0 else {
      throw RosterError(.invalidField, miner: miner, field: "stake", "must be a number from 0")
    }
    return MinerRecord(hotkey: hotkey, uid: uid, address: address, stake: stake)
  }

  private static func hotkey(
    _ value: JSON?, miner: String?, field: String
  ) throws(RosterError) -> String {
    let isAllowed = { (byte: UInt8) in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        || byte == 0x2d || byte == 0x5f
    }
    guard let text = value?.text, (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isAllowed) else {
      throw RosterError(
        .invalidField, miner: miner, field: field, "must be 1 to 64 letters, digits, '-' or '_'")
    }
    return text
  }

  /// The address without a slash at its end.
  static func address(
    _ text: String, miner: String, _ networks: NetworkPolicy = .any
  ) throws(RosterError) -> String {
    func error(_ problem: String) -> RosterError {
      RosterError(.invalidField, miner: miner, field: "address", problem)
    }
    guard text.utf8.count <= 256, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      let parts = URLComponents(string: text)
    else { throw error("is not a URL") }
    guard parts.scheme == "http" || parts.scheme == "https" else {
      throw error("must start with http:// or https://")
    }
    guard let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil,
      parts.path.isEmpty || parts.path == "/", parts.query == nil, parts.fragment == nil
    else { throw error("must be a host and a port, and nothing else") }
    if let port = parts.port {
      guard (1...65_535).contains(port) else { throw error("has no port from 1 to 65535") }
    }
    let literal = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    if let address = IPAddress(literal), !networks.permits(address) {
      throw error("is outside of the networks that miner-networks allows")
    }
    return text.hasSuffix("/") ? String(text.dropLast()) : text
  }
}

/// A guard in front of the JSON parser, which descends by recursion.
enum JSONDepth {
  /// Nothing that is read here nests deeper.
  static let limit = 16

  /// Whether no more than ``limit`` brackets are open at a time.
  static func isWithinLimit(_ bytes: [UInt8]) -> Bool {
    var depth = 0
    var isInText = false
    var isEscaped = false
    for byte in bytes {
      if isInText {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInText = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInText = true
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        if depth > limit { return false }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
      default: break
      }
    }
    return true
  }
}
