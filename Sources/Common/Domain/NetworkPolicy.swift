/// An IPv6 address, or an IPv4 address in its mapped form (`::ffff:a.b.c.d`).
public struct IPAddress: Hashable, Sendable {
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init(v4 value: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(value)) }

  /// An address from its 16 bytes, as they stand in a packet.
  init(bytes: some Collection<UInt8>) {
    precondition(bytes.count == 16)
    let halves = [bytes.prefix(8), bytes.dropFirst(8)].map { half in
      half.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    self.init(high: halves[0], low: halves[1])
  }

  /// Reads an address as people write it: `192.0.2.1` or `2001:db8::1` (RFC 4291, section 2.2); nil for
  /// anything else, such as the shortened and octal forms that some libraries take.
  public init?(_ text: String) {
    guard text.utf8.count <= 45 else { return nil }
    if text.contains(":") {
      guard let bytes = IPAddress.v6(text) else { return nil }
      self.init(bytes: bytes)
    } else {
      guard let bytes = IPAddress.v4(text) else { return nil }
      self.init(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  /// The four bytes of a dotted address.
  private static func v4(_ text: some StringProtocol) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part -> UInt8? in
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        part.utf8.count == 1 || part.utf8.first != 0x30
      else { return nil }
      return UInt8(part)
    }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  /// The sixteen bytes of an address with colons; `::` stands for as many zeros as are missing, one at least.
  private static func v6(_ text: String) -> [UInt8]? {
    guard let gap = text.firstRange(of: "::") else {
      let bytes = groups(text[...])
      return bytes?.count == 16 ? bytes : nil
    }
    guard let before = groups(text[..<gap.lowerBound]), let after = groups(text[gap.upperBound...]),
      before.count + after.count <= 14, !text[..<gap.lowerBound].contains(".")
    else { return nil }
    return before + [UInt8](repeating: 0, count: 16 - before.count - after.count) + after
  }

  /// The bytes of groups with colons between, the last of which may be a dotted address.
  private static func groups(_ text: Substring) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, part.contains(".") {
        guard let four = v4(part) else { return nil }
        bytes += four
      } else {
        guard (1...4).contains(part.utf8.count), let value = UInt16(part, radix: 16),
          part.utf8.first != UInt8(ascii: "+")
        else { return nil }
        bytes += [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
      }
    }
    return bytes
  }

  /// Whether it is an IPv4 address.
  var isV4: Bool { high == 0 && low >> 32 == 0xffff }
}

/// A network in CIDR form, such as `10.0.0.0/8`; an address alone is a network of one.
struct NetworkRange: Hashable, Sendable {
  let base: IPAddress
  /// Leading bits that count, of the 128.
  let bits: Int

  init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let base = IPAddress(String(parts[0])) else { return nil }
    let whole = base.isV4 ? 32 : 128
    guard parts.count == 2 else {
      self.init(base: base, bits: 128)
      return
    }
    guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let bits = Int(parts[1]), bits <= whole
    else { return nil }
    self.init(base: base, bits: bits + 128 - whole)
  }

  private init(base: IPAddress, bits: Int) {
    self.base = base
    self.bits = bits
  }

  func contains(_ address: IPAddress) -> Bool {
    let (high, low) = (base.high ^ address.high, base.low ^ address.low)
    if bits == 0 { return true }
    if bits <= 64 { return high >> UInt64(64 - bits) == 0 }
    return high == 0 && low >> UInt64(128 - bits) == 0
  }
}

/// Which addresses may be connected to.
///
/// A miner announces its own address. Without a limit it could name one inside the validator's network
/// (loopback, a cloud's metadata service) and have the validator send requests there. What counts is the
/// address of the socket, not the text: names, numbers in odd notations and a name server that changes its
/// answer all end there.
public struct NetworkPolicy: Equatable, Sendable {
  /// What is wrong with the text of a policy.
  public struct Invalid: Error, Equatable, CustomStringConvertible {
    /// One line.
    public let description: String
  }

  private var allowsPublic = false
  private var allowed: [NetworkRange] = []
  private var excluded: [NetworkRange] = []

  /// No limit.
  public static let any: NetworkPolicy = {
    var policy = NetworkPolicy()
    policy.allowed = ["0.0.0.0/0", "::/0"].compactMap { NetworkRange($0) }
    return policy
  }()

  /// Most networks that a policy names.
  static let networksMax = 64

  private init() {}

  /// Reads a policy: networks with commas between. `public` stands for all addresses of the open Internet,
  /// `any` for all there are, `10.0.0.0/8` or `192.0.2.7` for themselves; with `!` in front a network is
  /// excluded, whatever else allows it.
  public init(parsing text: String) throws(Invalid) {
    let words = text.split(separator: ",").map { $0.filter { $0 != " " } }
    guard (1...NetworkPolicy.networksMax).contains(words.count) else {
      throw Invalid(
        description: "names \(words.count) networks; 1 to \(NetworkPolicy.networksMax) are allowed")
    }
    for word in words {
      switch word {
      case "public": allowsPublic = true
      case "any": allowed += NetworkPolicy.any.allowed
      default:
        guard let range = NetworkRange(word.first == "!" ? String(word.dropFirst()) : word) else {
          throw Invalid(
            description: "'\(word.prefix(60))' is no network: write public, any, 10.0.0.0/8, or !10.0.0.0/8")
        }
        if word.first == "!" { excluded.append(range) } else { allowed.append(range) }
      }
    }
  }

  /// Whether an address may be connected to.
  public func permits(_ address: IPAddress) -> Bool {
    if excluded.contains(where: { $0.contains(address) }) { return false }
    return allowed.contains { $0.contains(address) } || allowsPublic && NetworkPolicy.isPublic(address)
  }

  /// Whether an address belongs to the open Internet: none of the special purposes of RFC 6890 and IANA's
  /// registries (https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-…). Of IPv6 only
  /// global unicast counts, without the prefixes that carry an IPv4 address inside.
  static func isPublic(_ address: IPAddress) -> Bool {
    if address.isV4 { return !special4.contains { $0.contains(address) } }
    return global6.contains(address) && !special6.contains { $0.contains(address) }
  }

  private static let special4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
  ].compactMap { NetworkRange($0) }
  private static let global6 = NetworkRange("2000::/3")!
  private static let special6 = [
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
  ].compactMap { NetworkRange($0) }
}
