import Glibc
import Testing

@testable import Common

@Suite("Networks")
struct NetworkPolicyTests {
  private func permits(_ policy: String, _ address: String) throws -> Bool {
    try NetworkPolicy(parsing: policy).permits(#require(IPAddress(address)))
  }

  @Test(
    "of the open Internet are public, those with a special purpose are not",
    arguments: [
      ("8.8.8.8", true), ("1.0.0.1", true), ("172.15.255.255", true), ("172.32.0.0", true),
      ("100.63.255.255", true), ("100.128.0.0", true), ("223.255.255.255", true), ("11.0.0.0", true),
      ("0.0.0.0", false), ("10.255.255.255", false), ("100.64.0.0", false), ("100.127.255.255", false),
      ("127.0.0.1", false), ("127.255.255.255", false), ("169.254.169.254", false), ("172.16.0.0", false),
      ("172.31.255.255", false), ("192.168.1.1", false), ("198.18.0.1", false), ("198.19.255.255", false),
      ("203.0.113.7", false), ("224.0.0.1", false), ("255.255.255.255", false),
      ("2606:4700:4700::1111", true), ("2001:4860:4860::8888", true), ("3ffe::1", true),
      ("::", false), ("::1", false), ("fe80::1", false), ("fc00::1", false), ("fd12:3456::1", false),
      ("ff02::1", false), ("2001:db8::1", false), ("2001::1", false), ("2002:7f00:1::", false),
      ("64:ff9b::7f00:1", false), ("::ffff:127.0.0.1", false), ("::ffff:8.8.8.8", true),
      ("::127.0.0.1", false),
    ])
  func publicNetworks(address: String, expected: Bool) throws {
    #expect(try permits("public", address) == expected)
    #expect(try permits("any", address))
  }

  @Test("are allowed by what is listed, unless an exclusion says otherwise")
  func lists() throws {
    #expect(try permits("10.0.0.0/8", "10.1.2.3") && !permits("10.0.0.0/8", "8.8.8.8"))
    #expect(try permits("public, 127.0.0.0/8", "127.0.0.1") && permits("public,127.0.0.0/8", "8.8.8.8"))
    #expect(try !permits("public,!8.8.0.0/16", "8.8.8.8") && permits("public,!8.8.0.0/16", "8.9.0.0"))
    #expect(try !permits("any,!127.0.0.1", "127.0.0.1") && permits("any,!127.0.0.1", "127.0.0.2"))
    #expect(try permits("192.0.2.1/32", "192.0.2.1") && !permits("192.0.2.1/32", "192.0.2.0"))
    #expect(try permits("fd00::/9", "fd7f::1") && !permits("fd00::/9", "fd80::1"))
    #expect(
      try permits("2001:db8::/65", "2001:db8::7fff:1:1:1") && !permits("2001:db8::/65", "2001:db8:0:0:8000::")
    )
    #expect(try permits("0.0.0.0/0", "127.0.0.1") && !permits("0.0.0.0/0", "::1"))
    // Only exclusions allow nothing.
    #expect(try !permits("!10.0.0.0/8", "8.8.8.8"))
  }

  @Test("have addresses that are read as the system reads them")
  func reading() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let pieces = [
      ":", "::", ".", "0", "1", "ffff", "10", "255", "256", "127", "00", "1.2.3.4", "abcd", "fe80", "12345",
      "g",
      "+1", "-1", " ", "%1", "/", "192.0.2.1", ":1:", "::1", "1:2:3:4:5:6:7:8",
    ]
    for round in 0..<20_000 {
      var text = ""
      // Half of them almost right.
      if round % 2 == 0 {
        for _ in 0...random.below(9) { text += pieces[random.below(pieces.count)] }
      } else {
        let groups = (0..<8 - random.below(3)).map { _ in String(random.below(65_536), radix: 16) }
        text = groups.joined(separator: random.below(9) == 0 ? "::" : ":")
        if random.below(3) == 0 { text = text.replacing(":", with: "::", maxReplacements: 1) }
        if random.below(3) == 0 { text += ":" + pieces[random.below(pieces.count)] }
      }
      #expect(IPAddress(text) == NetworkPolicyTests.system(text), "\(text), seed \(seed)")
    }
  }

  private static func system(_ text: String) -> IPAddress? {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 { return IPAddress(v4: UInt32(bigEndian: four.s_addr)) }
    var six = in6_addr()
    guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
    return IPAddress(bytes: withUnsafeBytes(of: six) { Array($0) })
  }

  @Test(
    "that cannot be read are refused with what is wrong",
    arguments: [
      "", ",", "private", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::1/129", "!", "!public",
      "1.2.3.4/+8", "public;any", Array(repeating: "any", count: 65).joined(separator: ","),
    ])
  func invalid(text: String) {
    let error = #expect(throws: NetworkPolicy.Invalid.self) { try NetworkPolicy(parsing: text) }
    #expect(error?.description.isEmpty == false)
  }
}
